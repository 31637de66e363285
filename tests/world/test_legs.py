"""Legs that reach."""

import numpy as np
import pytest

from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.synth.motion import demo_motion
from hmr_ros.world.legs import LEGS, reached


def posed(body, rotations):
    return forward_kinematics(rotations, body.rest_joints(np.zeros(10)))


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("frame", [10, 40, 210])
def test_the_ankle_comes_to_its_target_and_the_foot_keeps_its_direction(open_body, leg, frame):
    pose = demo_motion().poses[frame]
    rotations = pose_matrices(pose[:3], pose[3:])
    axes, joints = posed(open_body, rotations)
    target = joints[leg[0]] + 0.97 * (joints[leg[2]] - joints[leg[0]]) + [0.02, 0, 0.03]
    new_axes, new_joints = posed(open_body, reached(rotations, axes, joints, leg, target))
    np.testing.assert_allclose(new_joints[leg[2]], target, atol=1e-9)
    np.testing.assert_allclose(new_axes[leg[2]], axes[leg[2]], atol=1e-9)
    others = [j for j in range(24) if j not in (*leg, leg[2] + 3)]
    np.testing.assert_allclose(new_joints[others], joints[others], atol=1e-12)


def test_a_stretched_leg_bends_forward(open_body):
    rotations = np.tile(np.eye(3), (24, 1, 1))
    axes, joints = posed(open_body, rotations)
    target = joints[7] + [0, 0.15, 0]
    _, new = posed(open_body, reached(rotations, axes, joints, LEGS[0], target))
    np.testing.assert_allclose(new[7], target, atol=1e-9)
    assert new[4, 2] > joints[4, 2] + 0.1  # the knee; the body faces +z


def test_what_is_out_of_reach_is_pointed_at(open_body):
    rotations = np.tile(np.eye(3), (24, 1, 1))
    axes, joints = posed(open_body, rotations)
    target = joints[7] - [0, 0.5, 0]
    _, new = posed(open_body, reached(rotations, axes, joints, LEGS[0], target))
    lengths = np.linalg.norm(np.diff(new[[1, 4, 7]], axis=0), axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(np.diff(joints[[1, 4, 7]], axis=0), axis=1), atol=1e-9)
    assert np.isfinite(new).all() and np.linalg.norm(new[7] - target) < 0.52
