"""Batches: key points and truth stay together in every kind of batch; the noise model errs as BlazePose does."""

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.synth.poses import mirror
from hmr_ros.train.data.batches import Mix, fit_landmarks, upright_views, wide_views, with_true_keypoints
from hmr_ros.train.data.landmark_errors import KINDS, BoneErrors, RealErrors, lean_of
from hmr_ros.train.mesh2d import true_points_2d

MANY = 3000


def true_landmarks(bank, batch):
    """Where the landmarks truly are: on the plane [B,33,2] in sizes of the person, and [B,33,3] m from the mid hip."""
    W = torch.as_tensor(bank.landmarks, dtype=torch.float32)
    xyz = W @ fk_state(bank.posed, batch.pose, batch.betas, 0 * batch.scale)
    placed = xyz + batch.pelvis[:, None]
    uv = placed[..., :2] / placed[..., 2:].clamp(min=0.15) / batch.scale[:, None, None]
    return uv, xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2


@pytest.fixture
def exact(bank):
    """A bank whose key points are the true ones, and whose noise model therefore knows no errors."""
    batch = with_true_keypoints(bank, np.arange(len(bank)), depth=True)
    bank.points, bank.scale, bank.pelvis = (t.double().numpy() for t in (batch.points, batch.scale, batch.pelvis))
    bank.points[..., 3:] = true_landmarks(bank, batch)[1].double().numpy()
    bank.root = np.diag([1.0, -1.0, -1.0]) @ matrix_from_axis_angle(batch.pose[:, 0].double().numpy())
    bank.residual_2d, bank.residual_3d = 0 * bank.residual_2d, 0 * bank.residual_3d
    return bank


@pytest.mark.parametrize("mix", [Mix(augment=False), Mix(synthetic_share=0.0), Mix(synthetic_share=1.0)])
def test_truth_lies_near_the_landmarks(bank, mix):
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(0), mix)
    W = torch.as_tensor(bank.landmarks, dtype=torch.float32)
    distance = (W @ true_points_2d(bank.posed, batch) - batch.points[..., :2]).norm(dim=-1)
    assert distance.median() < 0.12


@pytest.mark.parametrize("synthetic", [0.0, 1.0])
def test_mirroring_rolling_and_posing_anew_keep_the_geometry(exact, synthetic):
    """Without noise the key points are projections of the body, whatever was done to both."""
    index = np.tile(np.arange(len(exact)), 8)
    mix = Mix(synthetic_share=synthetic, without_depth=0.0)
    batch = exact.batch(index, np.random.default_rng(1), mix)
    uv, world = true_landmarks(exact, batch)
    # posed anew the camera is aimed anew too, but world landmarks keep their axes
    found = batch.points[..., 3:]
    away = (found.norm(dim=-1) - world.norm(dim=-1)).abs() if synthetic else (found - world).norm(dim=-1)
    for error in ((batch.points[..., :2] - uv).norm(dim=-1).amax(1), away.amax(1)):
        assert error.max() < 0.1  # body and landmarks are not quite symmetric
        assert 0.35 < (error < 5e-3).double().mean() < 0.65  # those that are not mirrored


def test_half_are_mirrored_and_all_are_rolled(exact):
    other = mirror(exact.pose)
    lopsided = int(np.abs(exact.pose - other)[:, 1:].max((1, 2)).argmax())
    batch = exact.batch(np.full(400, lopsided), np.random.default_rng(0), Mix(synthetic_share=0.0))
    own, image = (torch.as_tensor(p[lopsided, 1:], dtype=torch.float32) for p in (exact.pose, other))
    as_it_is = (batch.pose[:, 1:] == own).flatten(1).all(1)
    assert 160 < as_it_is.sum() < 240
    assert (batch.pose[~as_it_is][:, 1:] == image).all()
    across = batch.points[:, 11, :2] - batch.points[:, 12, :2]
    assert torch.atan2(across[:, 1], across[:, 0]).unique().numel() == 400


def test_true_key_points_are_projections(bank):
    batch = with_true_keypoints(bank, np.arange(len(bank)), depth=True)
    uv, world = true_landmarks(bank, batch)
    torch.testing.assert_close(uv, batch.points[..., :2], atol=2e-3, rtol=0)
    torch.testing.assert_close(batch.points[..., 3:].norm(dim=-1), world.norm(dim=-1), atol=2e-3, rtol=0)
    assert (batch.points[..., 2] == 1).all()
    assert (with_true_keypoints(bank, np.arange(3), depth=False).points[..., 3:] == 0).all()


def test_synthetic_people_err_as_blazepose_does(bank):
    """Their residuals are BlazePose's, scaled by 0 to 1.1, and a quarter of the people have none."""
    index = np.random.default_rng(0).integers(0, len(bank), MANY)
    mix = Mix(synthetic_share=1.0, without_depth=0.0)
    batch = bank.batch(index, np.random.default_rng(1), mix)
    uv, world = true_landmarks(bank, batch)
    spared = (batch.points[..., 2] == 1).all(1)  # confidence^0
    assert 0.22 < spared.double().mean() < 0.28
    in_view = (uv.abs() < 4).all(-1).all(-1)  # nobody is behind the camera
    residual = (batch.points[..., :2] - uv).norm(dim=-1).double()
    assert residual[spared & in_view].mean() < 0.03  # body and landmarks are not quite symmetric
    strength = 0.55  # mean of 0 to 1.1
    expected = strength * np.linalg.norm(bank.residual_2d, axis=-1).mean()
    assert residual[~spared & in_view].mean().item() == pytest.approx(expected, rel=0.15)
    without = np.linalg.norm(bank.points[..., 3:] - bank.residual_3d, axis=-1)
    expected = strength * np.abs(np.linalg.norm(bank.points[..., 3:], axis=-1) - without).mean()
    found = (batch.points[..., 3:].norm(dim=-1) - world.norm(dim=-1)).abs()[~spared].mean().item()
    assert found == pytest.approx(expected, rel=0.3)


def test_jitter_leaves_a_quarter_alone(bank):
    index, plain = np.zeros(MANY, int), Mix(synthetic_share=0.0, without_depth=0.0)
    still = bank.batch(index, np.random.default_rng(0), plain).points[..., :2]
    moved = bank.batch(index, np.random.default_rng(0), Mix(0.0, 0.0, jitter=0.1)).points[..., :2]
    change = (moved - still).norm(dim=-1)
    assert ((change.amax(1) == 0).double().mean() - 0.25).abs() < 0.03
    # half of 0.1 on average, two normal directions
    assert change.mean().item() == pytest.approx(0.75 * 0.05 * np.sqrt(np.pi / 2), rel=0.1)


def test_depth_is_left_out_for_as_many_as_asked(bank):
    index = np.zeros(MANY, int)
    batch = bank.batch(index, np.random.default_rng(0), Mix(without_depth=0.25))
    without = (batch.points[..., 3:] == 0).all(-1).all(-1).double().mean()
    assert abs(without - 0.25) < 0.03


def test_validation_does_not_change(bank):
    index = np.arange(len(bank))
    a, b = (bank.batch(index, np.random.default_rng(seed), Mix(augment=False)) for seed in (0, 1))
    for name in a.__annotations__:
        assert torch.equal(getattr(a, name), getattr(b, name))


def test_the_fit_finds_what_landmarks_stand_for():
    """A known convex mixture, through noise, outliers and unsure landmarks."""
    rng = np.random.default_rng(0)
    true = np.zeros((5, 20))
    for k in range(5):
        true[k, rng.choice(20, 3, replace=False)] = rng.dirichlet(np.ones(3))
    points = rng.normal(0, 1, (400, 20, 2))
    seen = np.einsum("kp,npc->nkc", true, points) + rng.normal(0, 0.01, (400, 5, 2))
    confidence = np.full((400, 5), 0.95)
    wrong, unsure = rng.random((400, 5)) < 0.08, rng.random((400, 5)) < 0.1
    seen[wrong] += 3.0
    seen[unsure] += 5.0
    confidence[unsure] = 0.2
    found = fit_landmarks(points, seen, confidence)
    np.testing.assert_allclose(found, true, atol=0.02)
    np.testing.assert_allclose(found.sum(1), 1.0)


def test_people_with_real_errors_err_as_the_table_says(bank):
    """Half of the synthetic people: their upper arms lean as asked, their pixels are as good as asked."""
    none = BoneErrors(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    table = dict.fromkeys(KINDS, none) | {"upper_arm": BoneErrors(1.0, -40.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)}
    bank._errors = RealErrors(table, bank.pixels / 4, 0.5)
    bank.residual_3d = 0 * bank.residual_3d
    index = np.random.default_rng(0).integers(0, len(bank), MANY)
    for share in (0.0, 0.5, 1.0):
        batch = bank.batch(index, np.random.default_rng(1), Mix(1.0, 0.0, real_share=share))
        uv, world = true_landmarks(bank, batch)
        arm = [BLAZEPOSE["left_shoulder"], BLAZEPOSE["left_elbow"]]
        said, true = (
            lean_of((x[:, arm[1]] - x[:, arm[0]]).double().numpy())[1] for x in (batch.points[..., 3:], world)
        )
        turned = np.degrees(said - true)[np.abs(true) < np.radians(45)]
        assert np.mean(turned < -25) == pytest.approx(share, abs=0.05)
    off = (batch.points[..., :2] - uv).norm(dim=-1).median().item()
    own = np.median(np.linalg.norm(bank.residual_2d, axis=-1))
    assert off == pytest.approx(own / 4 * 1.1, rel=0.35)  # 0.6 to 1.6 times the table's


def test_without_a_table_nobody_errs_as_real_people_do(bank):
    with pytest.raises(ValueError, match="errors"):
        bank.batch(np.arange(4), np.random.default_rng(0), Mix(1.0, real_share=1.0))


def test_wide_views_look_from_above_and_below_and_at_the_fallen():
    root = np.tile(np.eye(3), (4000, 1, 1))
    level, wide = (
        np.degrees(np.arcsin(f(root, np.random.default_rng(0))[:, 2, 1])) for f in (upright_views, wide_views)
    )
    assert np.abs(level).max() < 60 < np.abs(wide).max()
    assert np.mean(np.abs(level) > 30) < 0.03
    assert np.mean(np.abs(wide) > 30) > 0.1
    down = wide_views(root, np.random.default_rng(0))[:, 1, 1]  # y down: -1 is upright
    assert 0.005 < np.mean(down > 0) < 0.05
