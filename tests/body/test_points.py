"""Chosen points move as the whole body does."""

import numpy as np

from hmr_ros.body.model import SUBTREES, forward_kinematics, pose_matrices
from hmr_ros.body.points import points_of


def test_vertices_and_joints_agree_with_the_body(open_body):
    rng = np.random.default_rng(0)
    vertices = rng.integers(0, len(open_body.v_template), 50)
    points = points_of(open_body, np.arange(24), vertices)
    pose, betas = rng.normal(0, 0.5, 72), rng.normal(0, 1, 10)
    found = points.posed(pose_matrices(pose[:3], pose[3:]), betas)
    np.testing.assert_allclose(found[:24], open_body.joints(pose[:3], pose[3:], betas, np.zeros(3)), atol=1e-9)
    np.testing.assert_allclose(
        found[24:], open_body.vertices(pose[:3], pose[3:], betas, np.zeros(3))[vertices], atol=1e-9
    )


def test_subtrees_hold_what_a_joint_moves(open_body):
    rest = open_body.rest_joints(np.zeros(10))
    for joint in range(24):
        pose = np.zeros((24, 3))
        pose[joint] = [0.3, -0.2, 0.4]
        moved = np.linalg.norm(forward_kinematics(pose_matrices(pose[0], pose[1:].reshape(-1)), rest)[1] - rest, axis=1)
        below_it = SUBTREES[joint] > 0
        assert (moved[~below_it] < 1e-9).all()
        below_it[joint] = False
        assert (moved[below_it] > 1e-6).all()
