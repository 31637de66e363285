"""Metrics of the world: what they must be where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.evaluate.world import contact_f1, foot_slides, root_drifts, world_figures
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import load_humans, save_arrays
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import Truth, placed_in, truth_arrays, world_arrays
from hmr_ros.synth.scene import tilted_view


@pytest.fixture(scope="module")
def truth(open_body, tmp_path_factory):
    motion = demo_motion(15.0)
    view = tilted_view(guess_camera(320, 240), np.array([0.5, 1.8, 4.0]), 0.1, -12.0, 4.0)
    rows = [placed_in(view, open_body, p, t, motion.betas) for p, t in zip(motion.poses, motion.trans, strict=True)]
    truths = [Truth(**vars(r), visible=np.ones(24, bool), visible_share=1.0) for r in rows]
    arrays = truth_arrays(truths, view.camera, 15.0, open_body.name, False)
    path = tmp_path_factory.mktemp("truth") / "truth.npz"
    save_arrays(path, **arrays, **world_arrays(arrays, view, open_body, 15.0))
    return load_humans(path)


def pairs(table):
    return np.tile(np.arange(len(table.frame))[:, None], 2)


def test_the_truth_has_no_errors(truth):
    found = world_figures(truth, truth, pairs(truth))
    assert found["up_error_deg"] == found["root_tilt_deg"] == pytest.approx(0, abs=1e-5)
    assert found["contact_f1"] == 1.0
    assert found["foot_slide_mm"] == found["foot_slide_truth_mm"]


def test_a_leaning_person_and_a_wrong_camera_are_told_apart(truth):
    lean = matrix_from_axis_angle(np.radians([7.0, 0, 0]))
    R = truth.R_world_camera[0]
    turned = R.T @ lean @ R  # about a level axis, in the camera's frame
    leaning = replace(truth, global_orient=axis_angle_from_matrix(turned @ matrix_from_axis_angle(truth.global_orient)))
    found = world_figures(leaning, truth, pairs(truth))
    assert found["up_error_deg"] == pytest.approx(0, abs=1e-5) and 4 < found["root_tilt_deg"] <= 7.001
    wrong = replace(truth, R_world_camera=lean @ truth.R_world_camera)
    assert world_figures(wrong, truth, pairs(truth))["up_error_deg"] == pytest.approx(7.0, abs=1e-5)


def test_without_a_world_there_are_no_figures(truth):
    assert world_figures(replace(truth, R_world_camera=None), truth, pairs(truth)) == {}
    unknown = replace(truth, R_world_camera=np.full_like(truth.R_world_camera, np.nan))
    assert world_figures(unknown, truth, pairs(truth)) == {}


def test_slides_are_those_of_stances():
    points, stands = np.zeros((30, 4, 3)), np.zeros((30, 4), bool)
    points[:, 0, 0] = np.linspace(0, 0.029, 30)  # a millimetre a frame
    points[:, 0, 2] = np.linspace(0, 1, 30)  # upwards is no slide
    stands[5:16, 0] = stands[20:23, 0] = True  # the second is too short to count
    assert foot_slides(points, stands) == [pytest.approx(5.0)]


def test_contacts_count_by_foot():
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert contact_f1(np.array([[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]), truth) == 1.0
    assert contact_f1(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]), truth) == pytest.approx(0.5)
    assert contact_f1(np.ones((3, 4)), np.zeros((3, 4))) is None


def test_drift_is_a_share_of_the_way():
    way = np.zeros((120, 3))
    way[:, 0] = np.linspace(0, 3.57, 120)
    short = way * [0.9, 1, 1]
    assert root_drifts(short, way) == pytest.approx([10.0] * 3)
    assert root_drifts(way, way * 0.1) == [] == root_drifts(way[:20], way[:20])
