"""Covariances of recovered joints, and hypotheses that move with their person."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.covariance import mean_sigma
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.methods.uncertainty import STRETCH, by_joint, carried, image_covariance, scaled


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_one_image_knows_least_along_the_ray(rng, open_body):
    joints = open_body.joints(np.zeros(3), np.zeros(69), np.zeros(10), np.array([0.3, -0.2, 3.0]))
    sigma = rng.uniform(0.02, 0.2, 24)
    C = image_covariance(sigma, joints)
    np.testing.assert_allclose(mean_sigma(C), sigma)
    values, vectors = np.linalg.eigh(C)
    rays = joints / np.linalg.norm(joints, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((vectors[:, :, 2] * rays).sum(1)), 1, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(values[:, 2] / values[:, 0]), STRETCH)


def test_groups_reach_every_joint():
    names = ("trunk", "head", "shoulders", "elbows", "hands", "knees", "feet")
    values = by_joint({name: float(k) for k, name in enumerate(names)})
    assert values[SMPL["pelvis"]] == 0 and values[SMPL["head"]] == 1 and values[SMPL["left_foot"]] == 6


def test_a_scaled_covariance_has_the_new_sigma_and_the_old_directions(rng):
    A = rng.normal(size=(24, 3, 3))
    C, new = A @ np.swapaxes(A, 1, 2), rng.uniform(0.1, 1, 24)
    found = scaled(C, mean_sigma(C), new)
    np.testing.assert_allclose(mean_sigma(found), new)
    np.testing.assert_allclose(found * C[:, :1, :1], C * found[:, :1, :1])


def test_hypotheses_follow_the_answer_and_shrink_about_it(rng):
    before, after = (matrix_from_axis_angle(rng.normal(0, 1, (24, 3))) for _ in range(2))
    samples = matrix_from_axis_angle(rng.normal(0, 0.3, (5, 24, 3))) @ before
    np.testing.assert_allclose(carried(samples, before, before), samples, atol=1e-12)
    np.testing.assert_allclose(carried(carried(samples, before, after), after, before), samples, atol=1e-12)
    np.testing.assert_allclose(carried(samples, before, after, np.zeros(24)), np.tile(after, (5, 1, 1, 1)), atol=1e-12)

    def angles(x, about):
        return np.linalg.norm(axis_angle_from_matrix(x @ np.swapaxes(about, 1, 2)), axis=-1)

    np.testing.assert_allclose(
        angles(carried(samples, before, after, np.full(24, 0.5)), after), 0.5 * angles(samples, before), atol=1e-9
    )
