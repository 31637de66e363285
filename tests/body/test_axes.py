"""The person's frame follows REP-103, and a moved person is the same person elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.axes import between_hips, body_rotation, joint_rotations, moved
from hmr_ros.body.joints import SMPL
from hmr_ros.body.loading import load_body
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import PelvisState

UP, TOWARDS_CAMERA = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0])  # in the optical frame


@pytest.fixture
def standing(human):
    """Upright, facing the camera, in the T-pose."""
    body = load_body()
    orient, pose = np.array([np.pi, 0.0, 0.0]), np.zeros(69)
    joints = body.joints(orient, pose, human.betas, human.transl)
    return replace(human, global_orient=orient, body_pose=pose, joints=joints)


def test_forward_left_and_up(standing):
    forward, left, up = body_rotation(standing).T
    np.testing.assert_allclose(forward, TOWARDS_CAMERA, atol=1e-12)
    np.testing.assert_allclose(up, UP, atol=1e-12)
    across = standing.joints[SMPL["left_hip"]] - standing.joints[SMPL["right_hip"]]
    assert left @ across > 0.9 * np.linalg.norm(across)
    assert np.linalg.det(body_rotation(standing)) == pytest.approx(1)


def test_joints_of_the_t_pose_have_the_persons_axes(standing):
    for rotation in joint_rotations(standing):
        np.testing.assert_allclose(rotation, body_rotation(standing), atol=1e-12)


def test_a_bent_knee_turns_what_is_below_it(standing):
    pose = np.zeros(69)
    pose[3 * (SMPL["left_knee"] - 1)] = 0.7  # about SMPL's x
    bent = joint_rotations(replace(standing, body_pose=pose))
    turned = [j for j, R in enumerate(bent) if not np.allclose(R, body_rotation(standing))]
    assert turned == [SMPL[n] for n in ("left_knee", "left_ankle", "left_foot")]
    # positive about x takes y (up) towards z (forward): the shank's down points backward
    assert bent[SMPL["left_knee"]][:, 2] @ TOWARDS_CAMERA > 0.6


def test_a_moved_person_has_the_same_body_elsewhere(human):
    body = load_body()
    transform = Rigid(matrix_from_axis_angle(np.array([0.3, -1.0, 0.5])), np.array([1.0, 2.0, 3.0]))
    there = moved(human, transform)
    joints = body.joints(there.global_orient, there.body_pose, there.betas, there.transl)
    np.testing.assert_allclose(joints, transform(human.joints), atol=1e-9)
    np.testing.assert_allclose(there.joints, joints, atol=1e-9)
    np.testing.assert_allclose(between_hips(there), transform(between_hips(human)), atol=1e-9)
    np.testing.assert_allclose(body_rotation(there), transform.rotation @ body_rotation(human), atol=1e-9)


def test_the_motion_of_the_hips_moves_along(human):
    rng = np.random.default_rng(2)
    C, D = (M @ M.T for M in rng.normal(0, 1, (2, 6, 6)))
    state = PelvisState(human.joints[0], np.eye(3), rng.normal(0, 1, 6), C, D)
    there = Rigid(matrix_from_axis_angle(np.array([0.3, 0.4, -1.0])), np.array([1.0, -2.0, 3.0]))
    away = moved(replace(human, pelvis=state), there)
    np.testing.assert_allclose(away.pelvis.position, away.joints[0], atol=1e-12)
    np.testing.assert_allclose(away.pelvis.velocity[3:], there.rotation @ state.velocity[3:])
    back = moved(away, there.inverse).pelvis
    for name in ("position", "rotation", "velocity", "pose_covariance", "velocity_covariance"):
        np.testing.assert_allclose(getattr(back, name), getattr(state, name), atol=1e-9)
