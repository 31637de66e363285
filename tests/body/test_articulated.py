"""Arms and shape motion are derivatives of where the points are."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.articulated import ArticulatedPoints
from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.geometry.rotations import matrix_from_axis_angle

BONES = np.array([[11, 13], [13, 15], [0, 70]])
EPS = 1e-6


@pytest.fixture(scope="module", params=[False, True])
def points(open_body, request):
    sparse = sparse_points(open_body, coarse_of(open_body))
    offsets = np.random.default_rng(0).normal(0, 0.01, (len(sparse), 3, 207)) if request.param else None
    return replace(sparse, posedirs=offsets)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    return matrix_from_axis_angle(rng.normal(0, 0.6, (3, 24, 3))), rng.normal(0, 1, (3, 10))


def test_points_are_those_of_skinning(points, people):
    posed = ArticulatedPoints(points, BONES).posed(*people)
    for n, (R, b) in enumerate(zip(*people, strict=True)):
        where = points.posed(R, b) - points.rest(b)[1][0]
        np.testing.assert_allclose(posed.points[n], where.T, atol=1e-12)
        np.testing.assert_allclose(posed.between[n], (where[BONES[:, 1]] - where[BONES[:, 0]]).T, atol=1e-12)


@pytest.mark.parametrize("joint", [0, 3, 9, 16, 18])
def test_a_turn_of_a_joint_moves_points_across_their_arms(points, people, joint):
    points = replace(points, posedirs=None)  # their own change with the turn is left out
    body = ArticulatedPoints(points, BONES)
    posed, turn = body.posed(*people), np.array([0.3, -0.5, 0.8])
    parent = posed.world[:, SMPL_PARENTS[joint]] if joint else np.tile(np.eye(3), (3, 1, 1))
    turned = people[0].copy()
    turned[:, joint] = np.swapaxes(parent, 1, 2) @ matrix_from_axis_angle(EPS * turn) @ parent @ turned[:, joint]
    after = body.posed(turned, people[1])
    for joints, of, arms, change in (
        (body.joint_of, body.point_of, posed.arms, after.points - posed.points),
        (body.joint_of_between, body.between_of, posed.arms_between, after.between - posed.between),
    ):
        arm = np.zeros_like(change)  # no arm, no motion
        arm[:, :, of[joints == joint]] = arms[:, :, joints == joint]
        np.testing.assert_allclose(change / EPS, np.cross(turn, arm, axisb=1, axisc=1), atol=1e-5)


def test_shape_moves_points_and_differences(points, people):
    body = ArticulatedPoints(points, BONES)
    posed = body.posed(*people)
    motion, between = body.shape_motion(posed.world)
    for k in range(10):
        after = body.posed(people[0], people[1] + EPS * np.eye(10)[k])
        np.testing.assert_allclose((after.points - posed.points) / EPS, motion[:, :, k], atol=1e-7)
        np.testing.assert_allclose((after.between - posed.between) / EPS, between[:, :, k], atol=1e-7)
