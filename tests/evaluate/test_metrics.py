"""Laws of the metrics."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.evaluate.metrics import acceleration_errors, joint_errors, pck, procrustes_errors
from hmr_ros.evaluate.report import evaluate
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.results import ResultRecorder, save_arrays
from hmr_ros.synth.render import truth_arrays

RNG = np.random.default_rng(0)
JOINTS = RNG.normal(size=(6, 24, 3))


def test_nothing_is_wrong_with_the_truth():
    assert joint_errors(JOINTS, JOINTS).max() == 0 and procrustes_errors(JOINTS, JOINTS).max() < 1e-9


def test_mpjpe_ignores_translation_only():
    assert joint_errors(JOINTS + np.array([1, 2, 3]), JOINTS).max() < 1e-9
    assert joint_errors(JOINTS * 1.1, JOINTS).mean() > 10


def test_procrustes_ignores_similarity_but_not_mirrors():
    R = matrix_from_axis_angle(RNG.normal(size=(6, 3)))
    moved = 1.7 * JOINTS @ np.swapaxes(R, 1, 2) + RNG.normal(size=(6, 1, 3))
    assert procrustes_errors(moved, JOINTS).max() < 1e-6
    assert procrustes_errors(JOINTS * [-1, 1, 1], JOINTS).mean() > 100


def test_procrustes_is_never_worse():
    other = JOINTS + 0.1 * RNG.normal(size=JOINTS.shape)
    squared = [(f(other, JOINTS) ** 2).sum() for f in (procrustes_errors, joint_errors)]
    assert squared[0] <= squared[1]


def test_a_known_error_is_measured():
    moved = JOINTS.copy()
    moved[:, 5, 0] += 0.24
    assert joint_errors(moved, JOINTS).mean() == pytest.approx(10)
    assert pck(joint_errors(moved, JOINTS)) == pytest.approx(23 / 24)


def test_acceleration_of_uniform_motion_is_zero():
    t = np.arange(10)[:, None, None]
    steady = JOINTS[:1] + t * 0.1
    assert acceleration_errors(steady, np.repeat(JOINTS[:1], 10, 0), 30).max() < 1e-9
    accelerated = JOINTS[:1] + 0.5 * 2.0 * (t / 30) ** 2 * np.array([1, 0, 0])
    assert acceleration_errors(accelerated, np.repeat(JOINTS[:1], 10, 0), 30).mean() == pytest.approx(2.0)


def test_report_matches_people_and_counts_misses(tmp_path, rendered, human):
    from dataclasses import replace

    _, truths, camera = rendered
    save_arrays(tmp_path / "t.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=False))
    recorder = ResultRecorder()
    for i, t in enumerate(truths[:20]):
        known = {n: getattr(t, n) for n in ("global_orient", "body_pose", "betas", "transl", "joints", "joints_2d")}
        far = replace(human, frame=i, joints_2d=human.joints_2d + 500)  # somebody else in the image
        recorder.add([far, replace(human, frame=i, track_id=1, **known)])
    recorder.save(tmp_path / "h.npz", camera.K, "open")
    result = evaluate(tmp_path / "h.npz", tmp_path / "t.npz")
    assert result["matched"] == 20 and result["recall"] == pytest.approx(0.8)
    assert result["mpjpe_mm"] < 1e-6 and result["pve_mm"] < 1e-3 and result["acceleration_error_m_s2"] < 1e-6


def test_nothing_in_common_is_said(tmp_path, rendered):
    _, truths, camera = rendered
    save_arrays(tmp_path / "t.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=False))
    ResultRecorder().save(tmp_path / "h.npz", camera.K, "open")
    with pytest.raises(InputError, match="do they show one video"):
        evaluate(tmp_path / "h.npz", tmp_path / "t.npz")


def test_procrustes_of_a_point_or_a_line_is_finite():
    flat = JOINTS * [1, 0, 0]
    assert np.isfinite(procrustes_errors(np.zeros_like(JOINTS), JOINTS)).all()
    assert np.isfinite(procrustes_errors(flat, JOINTS)).all() and procrustes_errors(flat, flat * 2).max() < 1e-6


def test_batches_are_scored_one_by_one():
    other = JOINTS + 0.1 * RNG.normal(size=JOINTS.shape)
    for f in (joint_errors, procrustes_errors):
        np.testing.assert_allclose(f(other, JOINTS)[2:3], f(other[2:3], JOINTS[2:3]))


def test_acceleration_goes_with_the_square_of_the_rate():
    other = JOINTS + 0.1 * RNG.normal(size=JOINTS.shape)
    slow, fast = (acceleration_errors(other, JOINTS, fps) for fps in (15, 30))
    np.testing.assert_allclose(fast, 4 * slow)
