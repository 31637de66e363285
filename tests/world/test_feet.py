"""Points of the soles."""

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.world.feet import Soles


def test_soles_are_the_lowest_of_a_body_that_stands(open_body):
    soles, rest = Soles(open_body), open_body.rest_joints(np.zeros(10))
    points = soles.placed(np.tile(np.eye(3), (24, 1, 1)), rest, np.zeros(10))
    np.testing.assert_allclose(points[:, 1], open_body.v_template[:, 1].min(), atol=0.01)
    assert (points[:2, 0] > 0).all() and (points[2:, 0] < 0).all()  # left is at +x
    heel, ball = points[0, 2], points[1, 2]
    assert heel < rest[SMPL["left_ankle"], 2] < ball


def test_points_ride_on_their_body(open_body):
    """Where the mesh has its vertices, within the skin's softness."""
    rng = np.random.default_rng(0)
    pose, betas = 0.3 * rng.normal(size=72), rng.normal(size=10)
    pose[3 * SMPL["left_foot"] :][:6] = 0
    from hmr_ros.body.model import forward_kinematics, pose_matrices

    axes, joints = forward_kinematics(pose_matrices(pose[:3], pose[3:]), open_body.rest_joints(betas))
    soles = Soles(open_body)
    skin = open_body.vertices(pose[:3], pose[3:], betas, np.zeros(3))[soles.vertices]
    assert np.linalg.norm(soles.placed(axes, joints, betas) - skin, axis=1).max() < 0.02


def test_the_lowest_point_is_that_of_the_posed_soles(walking, open_body):
    soles, up = Soles(open_body), np.array([0.1, -0.9, 0.3])
    columns = ([getattr(h, n) for h in walking] for n in ("global_orient", "body_pose", "betas"))
    pelvis = np.array([h.joints[0] for h in walking])
    found = soles.lowest(*(np.array(c) for c in columns), pelvis, up)
    for human, height in zip(walking, found, strict=True):
        vertices = open_body.vertices(human.global_orient, human.body_pose, human.betas, human.transl)
        np.testing.assert_allclose((vertices[soles.vertices] @ up).min(), height, atol=0.02)  # soles are rigid here
