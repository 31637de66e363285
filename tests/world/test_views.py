"""One world for calibrated views."""

from dataclasses import replace

import numpy as np
import pytest
from tilted_camera import CAMERA, PITCH, ROLL

from hmr_ros.body.model import pose_matrices
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.geometry.covariance import turned
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import GravitySource, Hypotheses
from hmr_ros.world.gravity import rotation_of_tilt
from hmr_ros.world.views import UPRIGHT, SeenFrom, in_one_world

UPPER = [3, 6, 9, 12, 15, 16, 17, 18, 19, 20, 21]  # joints that no standing foot moves
ASIDE = Rigid(matrix_from_axis_angle(np.array([0.1, -0.7, 0.2])), np.array([1.5, 0.2, 0.8]))  # second camera <- first


def seen_again(human, move, body):
    """As a camera sees the person into whose frame `move` goes."""
    orient = axis_angle_from_matrix(move.rotation @ matrix_from_axis_angle(human.global_orient))
    joints = move(human.joints)
    return replace(human, global_orient=orient, joints=joints, transl=joints[0] - body.rest_joints(human.betas)[0])


def with_hypothesis(human):
    rotations = pose_matrices(human.global_orient, human.body_pose)
    found = Hypotheses(human.joints[None], rotations[None], np.ones(1))
    return replace(human, hypotheses=found, joint_covariance=np.tile([1e-4, 0, 0, 1e-4, 0, 9e-4], (24, 1)))


@pytest.fixture
def views(walking, open_body):
    """Two calibrated ones, of which the second misses the first frames."""
    R = rotation_of_tilt(PITCH, ROLL)
    place = Rigid(UPRIGHT["-y"].T @ R, np.array([0.0, -2.2, 0.0]))  # in a world whose y points down
    others = [seen_again(human, ASIDE, open_body) for human in walking[5:]]
    return [SeenFrom(walking, CAMERA, place), SeenFrom(others, CAMERA, place @ ASIDE.inverse)]


@pytest.mark.parametrize("up", list(UPRIGHT))
def test_each_axis_can_be_up(up):
    turn = UPRIGHT[up]
    axis = (-1 if up[0] == "-" else 1) * np.eye(3)["xyz".index(up[-1])]
    np.testing.assert_array_equal(turn @ axis, [0, 0, 1])
    np.testing.assert_array_equal(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)


@pytest.mark.parametrize(("up", "given"), [("-y", {}), ("", {"camera.pitch_deg": PITCH, "camera.roll_deg": ROLL})])
def test_both_views_say_the_same_of_the_world(views, open_body, up, given):
    first, second = in_one_world(views, open_body, with_values(HmrConfig(), given), up)
    for a, b in zip(first[5:], second, strict=True):
        for human in (a, b):
            world = human.world
            assert world.source == GravitySource.PARAMETER
            pelvis = world.R_world_camera @ human.joints[0] + world.t_world_camera
            np.testing.assert_allclose(pelvis, world.root, atol=1e-9)
        np.testing.assert_allclose(a.world.root, b.world.root, atol=1e-9)
        np.testing.assert_allclose(a.world.body_axes, b.world.body_axes, atol=1e-6)
        np.testing.assert_allclose(ASIDE(a.joints), b.joints, atol=1e-6)
    np.testing.assert_allclose(first[0].world.R_world_camera, rotation_of_tilt(PITCH, ROLL), atol=1e-6)
    assert abs(first[0].world.t_world_camera[2] - 2.2) < (1e-9 if up else 0.05)


def test_hypotheses_and_covariance_go_with_the_body(views, open_body):
    """Here each view shows the body's own pose as its only hypothesis, and depth is what it does not know."""
    told = [replace(v, humans=[with_hypothesis(h) for h in v.humans]) for v in views]
    first, second = in_one_world(told, open_body, HmrConfig(), "-y")
    for a, b in zip(first[5:], second, strict=True):
        for human in (a, b):
            np.testing.assert_allclose(human.hypotheses.joints[0, 0], human.joints[0], atol=1e-6)
            np.testing.assert_allclose(human.hypotheses.joints[0, UPPER], human.joints[UPPER], atol=1e-3)
        np.testing.assert_allclose(ASIDE(a.hypotheses.joints), b.hypotheses.joints, atol=1e-6)
        np.testing.assert_allclose(turned(a.joint_covariance, ASIDE.rotation), b.joint_covariance, atol=1e-9)


def test_views_without_calibration_have_a_world_each(views, open_body):
    config = with_values(HmrConfig(), {"camera.pitch_deg": PITCH, "camera.roll_deg": ROLL})
    first, second = in_one_world([replace(v, place=None) for v in views], open_body, config)
    assert {h.world.source for h in first} == {GravitySource.PARAMETER}
    assert {h.world.source for h in second} == {GravitySource.ESTIMATE}
    for before, after in zip(views[0].humans, first, strict=True):
        np.testing.assert_allclose(after.joints, before.joints, atol=1e-9)  # they share the pose: no foot is held
    none = with_values(HmrConfig(), {"world.gravity": "none"})
    assert in_one_world(views, open_body, none) == [v.humans for v in views]
