"""Fitting undoes posing: round trips, and what noise and missing evidence do to them."""

from dataclasses import replace

import numpy as np
import pytest
from plain_fit import plain_fit, plain_start

from hmr_ros.body.coarse import SPARSE_JOINTS, coarse_of, sparse_points
from hmr_ros.body.fitting import _DEFAULT_PRIOR_RAD, _PRIOR_RAD, Leans, Observed, OtherCamera, PointFitter
from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.body.model import forward_kinematics
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.synth.motion import demo_motion

PELVIS = np.array([0.3, -0.2, 3.0])


@pytest.fixture(scope="module")
def sparse(open_body):
    return sparse_points(open_body, coarse_of(open_body))


def observe(sparse, count, seed=0, noise=0.0):
    """People in demo poses, turned anyhow, and what is seen of them."""
    rng = np.random.default_rng(seed)
    poses = demo_motion().poses.reshape(-1, 24, 3)
    rotations = matrix_from_axis_angle(poses[rng.integers(0, len(poses), count)])
    rotations[:, 0] = matrix_from_axis_angle(rng.normal(0, 1.5, (count, 3)))
    betas = rng.normal(0, 0.8, (count, 10))
    points = np.array(
        [sparse.posed(R, b) - sparse.rest(b)[1][0] for R, b in zip(rotations, betas, strict=True)]
    )  # fmt: skip
    rays = points + PELVIS
    rays = rays[..., :2] / rays[..., 2:]
    shape = points.shape[:2]
    seen = Observed(
        points + rng.normal(0, noise, points.shape), np.full(shape, 0.01 + noise), rays, np.full(shape, 0.01),
        np.zeros((count, 10)), np.ones(count),
    )  # fmt: skip
    return seen, points, rotations, betas


def joints(sparse, rotations, betas):
    rest = sparse.J_template + np.einsum("jck,nk->njc", sparse.J_shapedirs, betas)
    placed = forward_kinematics(rotations, rest)[1]
    return placed - placed[:, :1]


def test_exact_points_give_the_person_back(sparse):
    seen, points, rotations, betas = observe(sparse, 20)
    fitted = PointFitter(sparse)(seen)
    assert np.linalg.norm(fitted.points - points, axis=-1).mean() < 0.003
    error = np.linalg.norm(joints(sparse, fitted.rotations, fitted.betas) - joints(sparse, rotations, betas), axis=-1)
    assert error.mean() < 0.005
    np.testing.assert_allclose(fitted.pelvis, np.tile(PELVIS, (20, 1)), atol=0.03)


def test_results_are_rotations(sparse):
    R = PointFitter(sparse)(observe(sparse, 5, noise=0.05)[0]).rotations
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (5, 24, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(R), 1.0)


def test_fit_is_nearer_to_the_truth_than_noisy_points_are(sparse):
    seen, points, _, _ = observe(sparse, 20, noise=0.03)
    fitted = PointFitter(sparse)(seen)
    before = np.linalg.norm(seen.points - points, axis=-1).mean()
    assert np.linalg.norm(fitted.points - points, axis=-1).mean() < 0.5 * before


def test_each_person_is_fitted_alone(sparse):
    seen, points, _, _ = observe(sparse, 4, noise=0.02)
    seen = replace(seen, depths=(points + PELVIS)[..., 2], sigma_depths=np.full(seen.sigma.shape, 0.05))
    order = [2, 0, 3, 1]
    sine, sigma = sines(points), np.full(len(ARMS), 0.1)
    seen = replace(seen, leans=Leans(ARMS, sine, sigma))
    together = PointFitter(sparse)(seen)
    rows = {k: getattr(seen, k)[order] for k in seen.__dataclass_fields__ if k != "leans"}
    shuffled = Observed(**rows, leans=Leans(ARMS, sine[order], sigma))
    np.testing.assert_allclose(PointFitter(sparse)(shuffled).points, together.points[order], atol=1e-9)


def test_staying_near_a_given_pose_keeps_what_points_do_not_show(sparse):
    seen, _, rotations, _ = observe(sparse, 3)
    blind = replace(seen, sigma=np.full(seen.sigma.shape, 1e3), sigma_rays=np.full(seen.sigma.shape, np.inf))
    fitted = PointFitter(sparse)(blind, 3, rotations)
    np.testing.assert_allclose(fitted.rotations[:, 1:], rotations[:, 1:], atol=1e-3)


def test_the_closed_form_start_is_already_close(sparse):
    seen, points, _, _ = observe(sparse, 10)
    fitted = PointFitter(sparse)(replace(seen, betas=np.zeros((10, 10))), 0)
    assert np.linalg.norm(fitted.points - points, axis=-1).mean() < 0.08


def test_known_depths_say_how_far_away_and_how_tall(sparse):
    """Rays fit a person of any size; depths of a few joints say which, and shape and pelvis follow."""
    seen, points, _, _ = observe(sparse, 6, noise=0.0)
    nearer = 1.12 * points  # what the points say is an eighth too tall
    vague = replace(seen, points=nearer, sigma=np.full(seen.sigma.shape, 0.2), sigma_rays=seen.sigma_rays / 4)
    known = np.full(seen.sigma.shape, np.inf)
    known[:, [0, 1, 2, 5, 6, 11, 12]] = 0.01
    measured = replace(vague, depths=(points + PELVIS)[..., 2], sigma_depths=known)
    without, depths = (np.abs(PointFitter(sparse)(s).pelvis[:, 2] - PELVIS[2]) for s in (vague, measured))
    assert without.max() > 0.05
    assert depths.max() < 0.02


def test_unknown_depths_change_nothing(sparse):
    seen = observe(sparse, 3, noise=0.01)[0]
    shape = seen.sigma.shape
    unknown = replace(seen, depths=np.zeros(shape), sigma_depths=np.full(shape, np.inf))
    np.testing.assert_allclose(PointFitter(sparse)(unknown).rotations, PointFitter(sparse)(seen).rotations, atol=1e-9)


def other_camera(points, sigma):
    """From the side, 3 m from the person."""
    R = matrix_from_axis_angle(np.array([0.0, np.pi / 2, 0.0]))
    t = np.array([0.0, 0.0, 3.0]) - R @ PELVIS
    there = (points + PELVIS) @ R.T + t
    return OtherCamera(there[..., :2] / there[..., 2:], sigma, R, t)


def test_another_camera_says_how_far_away_and_how_tall(sparse):
    seen, points, _, _ = observe(sparse, 6, noise=0.0)
    vague = replace(seen, points=1.12 * points, sigma=np.full(seen.sigma.shape, 0.2), sigma_rays=seen.sigma_rays / 4)
    other = other_camera(points, vague.sigma_rays)
    alone, both = (PointFitter(sparse)(vague, 4, others=others) for others in ((), (other,)))
    assert np.abs(alone.pelvis[:, 2] - PELVIS[2]).max() > 0.05
    assert np.abs(both.pelvis - PELVIS).max() < 0.02
    assert np.linalg.norm(both.points - points, axis=-1).mean() < 0.02


def test_another_camera_that_sees_nothing_changes_nothing(sparse):
    seen, points, _, _ = observe(sparse, 3, noise=0.01)
    blind = other_camera(points, np.full(seen.sigma.shape, np.inf))
    with_it, without = PointFitter(sparse)(seen, others=[blind]), PointFitter(sparse)(seen)
    np.testing.assert_allclose(with_it.rotations, without.rotations, atol=1e-9)
    np.testing.assert_allclose(with_it.pelvis, without.pelvis, atol=1e-9)


def test_depths_and_other_cameras_go_together(sparse):
    seen, points, _, _ = observe(sparse, 3, noise=0.01)
    measured = replace(seen, depths=(points + PELVIS)[..., 2], sigma_depths=np.full(seen.sigma.shape, 0.02))
    fitted = PointFitter(sparse)(measured, others=[other_camera(points, seen.sigma_rays)])
    assert np.abs(fitted.pelvis - PELVIS).max() < 0.01


ARMS = np.array([
    [SPARSE_JOINTS.index(f"{side}_{a}"), SPARSE_JOINTS.index(f"{side}_{b}")]
    for side in ("left", "right") for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
])  # fmt: skip


def sines(points):
    along = points[:, ARMS[:, 1]] - points[:, ARMS[:, 0]]
    return along[..., 2] / np.linalg.norm(along, axis=-1)


def flattened(sparse):
    """People whose decoded points have lost half of their depth."""
    seen, points, _, _ = observe(sparse, 20)
    return replace(seen, points=seen.points * [1, 1, 0.5], sigma=np.full(seen.sigma.shape, 0.05)), points


def test_leans_put_back_the_depth_that_points_have_lost(sparse):
    seen, points = flattened(sparse)
    true = sines(points)
    leaning = replace(seen, leans=Leans(ARMS, true, np.full(len(ARMS), 0.05)))
    without, with_them = (np.abs(sines(PointFitter(sparse)(s).points) - true).mean() for s in (seen, leaning))
    assert with_them < 0.4 * without


def test_leans_say_nothing_of_lengths(sparse):
    """The same sines for people of another size: nobody grows or shrinks."""
    seen, points, _, betas = observe(sparse, 10)
    seen = replace(seen, betas=betas, leans=Leans(ARMS, sines(points), np.full(len(ARMS), 0.05)))
    small = replace(
        seen,
        points=0.8 * seen.points,
        betas=0 * betas,
        sigma_betas=np.full(10, 3.0),
        sigma=np.full(seen.sigma.shape, 0.01),
    )
    for given, scale in ((seen, 1.0), (small, 0.8)):
        found = PointFitter(sparse)(given).points
        lengths, true = (np.linalg.norm(p[:, ARMS[:, 1]] - p[:, ARMS[:, 0]], axis=-1) for p in (found, scale * points))
        assert abs(np.median(lengths / true) - 1) < 0.05


def test_unknown_leans_change_nothing(sparse):
    seen, points = flattened(sparse)
    unknown = replace(seen, leans=Leans(ARMS, sines(points), np.full(len(ARMS), np.inf)))
    np.testing.assert_allclose(PointFitter(sparse)(unknown).points, PointFitter(sparse)(seen).points, atol=1e-9)


SPREAD = np.array([1e3 if name == "pelvis" else _PRIOR_RAD.get(name, _DEFAULT_PRIOR_RAD) for name in SMPL_JOINTS])
EVERYTHING = {"depths", "leans", "other", "near", "posedirs"}


@pytest.mark.parametrize("known", [set(), {"leans"}, {"depths"}, {"other"}, {"near"}, {"posedirs"}, EVERYTHING])
def test_it_is_the_plain_fit(sparse, known):
    """Steps of the information form are those of one row a measurement, derived by differences."""
    seen, points, rotations, _ = observe(sparse, 1, seed=7, noise=0.02)
    if "depths" in known:
        seen = replace(seen, depths=(points + PELVIS)[..., 2] + 0.03, sigma_depths=np.full(seen.sigma.shape, 0.02))
        seen.sigma_depths[:, 5:] = np.inf
    if "leans" in known:
        seen = replace(seen, leans=Leans(ARMS, 0.8 * sines(points), np.full(len(ARMS), 0.1)))
    others = [other_camera(points, 2 * seen.sigma_rays)] if "other" in known else []
    near = None
    if "near" in known:
        near = rotations @ matrix_from_axis_angle(np.random.default_rng(1).normal(0, 0.2, (1, 24, 3)))
    if "posedirs" in known:
        offsets = np.random.default_rng(2).normal(0, 0.003, (len(sparse), 3, 207))
        sparse = replace(sparse, posedirs=offsets * (np.arange(len(sparse)) >= len(SPARSE_JOINTS))[:, None, None])
    fitter = PointFitter(sparse)
    start = fitter(seen, 0, near, others=others)
    R, betas, pelvis, placed = plain_fit(sparse, seen, start, SPREAD, 3, near, others)
    fitted = fitter(seen, 3, near, others=others)
    np.testing.assert_allclose(fitted.points[0], placed, atol=1e-5)
    np.testing.assert_allclose(fitted.betas[0], betas, atol=1e-3)
    np.testing.assert_allclose(fitted.pelvis[0], pelvis, atol=1e-5)
    np.testing.assert_allclose(fitted.rotations[0], R, atol=1e-4)


def test_the_start_is_the_plain_one(sparse):
    seen = observe(sparse, 3, seed=3, noise=0.03)[0]
    fitted = PointFitter(sparse)(seen, 0)
    for n in range(3):
        np.testing.assert_allclose(fitted.rotations[n], plain_start(sparse, seen.points[n], seen.betas[n]), atol=1e-8)


def test_information_grows_with_what_is_known_and_leaves_the_priors_of_the_shape_out(sparse):
    seen = observe(sparse, 2, noise=0.01)[0]
    fitter = PointFitter(sparse)
    normal = fitter(seen).normal
    np.testing.assert_allclose(normal, np.swapaxes(normal, 1, 2), rtol=1e-9, atol=1e-6)
    assert np.linalg.eigvalsh(normal).min() > 0
    firm = fitter(replace(seen, sigma_betas=np.full(2, 1e-3), betas=fitter(seen).betas)).normal
    np.testing.assert_allclose(firm[:, 72:82, 72:82], normal[:, 72:82, 72:82], rtol=0.1, atol=1.0)
    blind = replace(seen, sigma=10 * seen.sigma, sigma_rays=10 * seen.sigma_rays)
    less = np.linalg.eigvalsh(normal[:, 72:82, 72:82] - 50 * fitter(blind).normal[:, 72:82, 72:82])
    assert less.min() > 0
    assert fitter(seen, 0).normal is None
