"""The translation solver returns what projection was given."""

import numpy as np
import pytest

from hmr_ros.geometry.camera import project
from hmr_ros.methods.kinematic import translation_from_points

K = np.array([[600.0, 0, 300], [0, 620, 250], [0, 0, 1]])
POINTS = np.random.default_rng(0).normal(scale=0.4, size=(12, 3))
TRUE = np.array([0.3, -0.2, 3.5])


def test_exact_points_give_the_exact_translation():
    found = translation_from_points(POINTS, project(POINTS + TRUE, K), np.ones(12), K)
    np.testing.assert_allclose(found, TRUE, atol=1e-8)


def test_points_without_weight_do_not_count():
    px = project(POINTS + TRUE, K)
    px[:4] += 500
    weights = np.r_[np.zeros(4), np.ones(8)]
    np.testing.assert_allclose(translation_from_points(POINTS, px, weights, K), TRUE, atol=1e-8)


def test_one_outlier_moves_it_little():
    px = project(POINTS + TRUE, K)
    px[3] += 80
    plain = np.linalg.norm(translation_from_points(POINTS, px, np.ones(12), K) - TRUE)
    assert plain < 0.1


@pytest.mark.parametrize("weights", [np.zeros(12), np.r_[1.0, np.zeros(11)]])
def test_too_few_points_are_said_so(weights):
    assert np.isnan(translation_from_points(POINTS, project(POINTS + TRUE, K), weights, K)).all()
