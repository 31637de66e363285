"""`recover: hmdiff` on rendered people, through the public ways in; what is put into U moves the answer."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.coarse import SPARSE_LIMBS, coarse_of, sparse_points
from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.config import HmdiffConfig, HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, build_stages, choose_engine, offline
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.hmdiff.graphs import hmdiff_graph, torch_pullback
from hmr_ros.methods.hmdiff.prior import depths, joints
from hmr_ros.methods.hmdiff.source import hmdiff_signature, size
from hmr_ros.runtime.tolerances import relative_errors
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.types import Frame
from hmr_ros.view.raster import mesh_depth

CONFIG = HmrConfig(recover="hmdiff", refine="none", calibrate="none")


@pytest.fixture(scope="module")
def seen(rendered):
    """Every fifth frame of the rendered clip, as live."""
    images, truths, camera = rendered
    tracker = build_pipeline(offline(HmrConfig(refine="none"), as_live=True)).tracker
    rows = []
    for i, (image, truth) in enumerate(zip(images, truths, strict=True)):
        frame = Frame(i, i * 66_000_000, image, camera)
        rows.append((frame, tracker.step(frame), truth))
    return [row for row in rows if row[1]][::5]


@pytest.fixture(scope="module")
def stages():
    return build_stages(CONFIG)


def recovered(stages, frame, tracks):
    return stages.recovery(frame, tracks, stages.evidence(frame, tracks))


def pa(rows, find):
    found = [(find(frame, tracks)[0].joints, truth.joints) for frame, tracks, truth in rows]
    a, b = (np.array(x)[:, SMPL_LIMBS] for x in zip(*found, strict=True))
    return procrustes_errors(a, b).mean()


def test_people_are_as_large_as_the_other_source_says(seen, stages):
    """The mean of samples that differ has short bones, and a small person would be a near one."""
    other = build_stages(replace(CONFIG, recover="posture"))
    for frame, tracks, _ in seen:
        here, there = (s.evidence(frame, tracks)[0].posture.points for s in (stages, other))
        np.testing.assert_allclose(size(here), size(there), rtol=1e-6)
        assert np.abs(here - there).max() > 0.01


def test_a_rendered_person_is_found(seen, stages):
    """Nearer to the truth than the closed form, and beside what the decoder finds."""
    other = build_stages(replace(CONFIG, recover="kinematic"))
    error = pa(seen, lambda *row: recovered(stages, *row))
    assert error < 60
    assert error < pa(seen, lambda *row: recovered(other, *row))


def test_the_same_seed_gives_the_same_answer_and_another_another(seen, stages):
    frame, tracks, _ = seen[0]
    first, again = (stages.evidence(frame, tracks)[0].posture.points for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = build_stages(replace(CONFIG, hmdiff=HmdiffConfig(seed=1)))
    there = other.evidence(frame, tracks)[0].posture.points
    assert 1e-4 < np.abs(there - first).max() < 0.2


def test_only_who_reads_the_heat_around_landmarks_pays_for_it(seen, stages):
    frame, tracks, _ = seen[0]
    assert tracks[0].keypoints.heat is not None and stages.evidence(frame, tracks)[0].heat is not None
    other = build_stages(replace(CONFIG, recover="posture"))
    assert other.evidence(frame, tracks)[0].heat is None


def test_people_of_a_batch_do_not_touch_each_other(seen, stages):
    frame, tracks, _ = seen[0]
    both = [replace(t, track_id=100 + i) for i, t in enumerate((tracks[0], seen[-1][1][0]))]
    together = [e.posture.points[0] for e in stages.evidence(frame, both)]
    apart = [stages.evidence(frame, [track])[0].posture.points[0] for track in both]
    np.testing.assert_allclose(together, apart, atol=1e-4)
    assert stages.evidence(frame, []) == []


def test_samples_are_many_people_around_the_answer(seen, stages):
    frame, tracks, _ = seen[0]
    evidence = stages.evidence(frame, tracks)
    samples = stages.evidence.source.samples(evidence)
    assert samples.shape == (8, 1, 81, 3)
    np.testing.assert_allclose(samples[:, :, 0], 0.0, atol=1e-9)  # the pelvis
    mean, answer = samples.mean(0), evidence[0].posture.points
    larger = size(answer) / size(mean)  # the answer is their mean, at the person's size
    assert 0.9 < larger < 1.15
    np.testing.assert_allclose(larger * mean, answer, atol=1e-6)
    assert samples.std(0)[0, SPARSE_LIMBS].max() > 0.01
    thighs = np.linalg.norm(samples[:, 0, 1] - samples[:, 0, 3], axis=-1)
    assert ((thighs > 0.25) & (thighs < 0.55)).all()


def test_other_samples_and_steps_find_the_same_person(seen, stages):
    frame, tracks, _ = seen[0]
    found = stages.evidence(frame, tracks)[0].posture.points
    config = replace(CONFIG, engine="torch", hmdiff=HmdiffConfig(steps=10, samples=12, seed=3))
    other = build_stages(config).evidence(frame, tracks)[0].posture.points
    assert procrustes_errors(found[:, SPARSE_LIMBS], other[:, SPARSE_LIMBS]).mean() < 25


@pytest.fixture(scope="module")
def true_points(seen, open_body):
    """Of the person of the first row: the 81 points in the axes of the camera aimed at it."""
    frame, tracks, truth = seen[0]
    rotations = matrix_from_axis_angle(np.r_[truth.global_orient, truth.body_pose].reshape(24, 3))
    points = sparse_points(open_body, coarse_of(open_body)).posed(rotations, truth.betas)
    aimed = build_stages(CONFIG).evidence(frame, tracks)[0].R_camera_aimed
    return (points - truth.joints[0] + truth.transl) @ aimed


def test_what_a_user_knows_moves_the_samples(seen, stages, true_points):
    """U is replaced at run time, without training: 3D joints with a covariance, and depths of some of them."""
    frame, tracks, _ = seen[0]
    evidence, source = stages.evidence(frame, tracks), stages.evidence.source
    points = true_points - true_points[:1]
    lifted = points.copy()
    lifted[[13, 15], 2] -= 0.25  # the left forearm before the body
    which = SPARSE_LIMBS.tolist()
    covariance = np.broadcast_to(1e-4 * np.eye(3), (1, len(which), 3, 3))

    def error(measured, wanted):
        samples = source.samples(evidence, measured)
        return np.linalg.norm(samples[:, 0, which] - wanted[which], axis=-1).mean()

    for wanted in (points, lifted):
        known = joints(which, wanted[which][None], covariance, relative=True)
        assert error([known], wanted) < 0.5 * error(None, wanted)
    z = lifted[which, 2][None] + 3.0
    deep = depths(which, z, np.full(z.shape, 0.01))
    assert error([deep], lifted) < 0.8 * error(None, lifted)


def test_what_a_user_knows_reaches_the_answer(seen, true_points):
    """`known` is asked in every frame, with or without alignment by ourselves."""
    frame, tracks, _ = seen[0]
    lifted = true_points.copy()
    lifted[[13, 15], 2] -= 0.25
    which = SPARSE_LIMBS.tolist()
    covariance = np.broadcast_to(1e-4 * np.eye(3), (1, len(which), 3, 3))
    for align in (True, False):
        stages = build_stages(replace(CONFIG, hmdiff=HmdiffConfig(align=align)))
        before = recovered(stages, frame, tracks)[0]
        stages.evidence.source.known = lambda f, t, e: [joints(which, lifted[which][None], covariance)]
        after = recovered(stages, frame, tracks)[0]
        bent = [e.joints[20] - e.joints[16] for e in (before, after)]
        assert bent[1][2] < bent[0][2] - 0.1
        assert after.joint_sigma[SMPL_LIMBS].mean() < 0.7 * before.joint_sigma[SMPL_LIMBS].mean()


def test_a_depth_image_is_part_of_u(seen, stages, open_body):
    """With the rendered depth the pose is nearer to the truth, before any calibration."""
    rows = [
        (replace(frame, depth=_depth(open_body, truth, frame.camera)), tracks, truth) for frame, tracks, truth in seen
    ]
    without = pa(seen, lambda *row: recovered(stages, *row))
    assert pa(rows, lambda *row: recovered(stages, *row)) < 0.95 * without
    sigma = [recovered(stages, *row[:2])[0].joint_sigma for row in (seen[0], rows[0])]
    assert sigma[1][SMPL_LIMBS].mean() < 0.9 * sigma[0][SMPL_LIMBS].mean()


def _depth(body, truth, camera):
    vertices = body.vertices(truth.global_orient, truth.body_pose, truth.betas, truth.transl)
    return mesh_depth(vertices, body.faces, camera.K, camera.width, camera.height).astype(np.float32)


def test_alignment_can_be_left_out(seen, stages):
    frame, tracks, _ = seen[0]
    plain = build_stages(replace(CONFIG, hmdiff=HmdiffConfig(align=False)))
    found = [s.evidence(frame, tracks)[0].posture.points for s in (plain, stages)]
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_the_shipped_graph_says_what_torch_says():
    given = make_inputs(hmdiff_signature(8), 3)
    engines = [choose_engine(replace(CONFIG, engine=e), "hmdiff").engine for e in ("torch", "onnxruntime")]
    expected, found = (engine(given) for engine in engines)
    assert max(relative_errors(expected, found).values()) < 1e-4


def test_the_gradient_through_the_denoiser():
    """Of a number that is linear in h0-hat, against finite differences in h_k."""
    graph = hmdiff_graph(2, {})
    given = make_inputs(graph.signature, 2)
    engine = TorchEngine(graph)
    weights = np.random.default_rng(0).normal(size=given["state"].shape)
    pull = torch_pullback(graph.module, given["points"], given["log_scale"])
    for t in (700, 400):
        time = np.full(2, t, np.float32)
        gradient = pull(given["state"], t, weights)

        def value(h, time=time):
            return (engine(given | {"state": h.astype(np.float32), "time": time})["clean"] * weights).sum()

        direction = gradient / np.linalg.norm(gradient)
        numeric = (value(given["state"] + 0.02 * direction) - value(given["state"] - 0.02 * direction)) / 0.04
        assert abs(numeric / np.linalg.norm(gradient) - 1) < 0.05
    at_the_start = pull(given["state"], 1000, weights)  # where h_k says nothing of h_0, it does not enter
    assert np.abs(at_the_start).max() < 1e-3 * np.abs(gradient).max()
