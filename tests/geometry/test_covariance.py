"""Covariances: packing, rays, fusion and distance."""

import numpy as np
import pytest
from scipy.stats import chi2

from hmr_ros.geometry.covariance import (
    along_rays,
    fused,
    mahalanobis_squared,
    mean_sigma,
    packed,
    shared,
    unpacked,
)


@pytest.fixture
def covariances():
    A = np.random.default_rng(0).normal(size=(7, 24, 3, 3))
    return A @ np.swapaxes(A, -1, -2) + 0.01 * np.eye(3)


def test_packing_loses_nothing_and_keeps_the_documented_order(covariances):
    np.testing.assert_array_equal(unpacked(packed(covariances)), covariances)
    np.testing.assert_array_equal(packed(np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])), [1, 2, 3, 4, 5, 6])


def test_a_covariance_along_a_ray_has_the_sigma_and_the_stretch_asked_for():
    rng = np.random.default_rng(1)
    points = rng.normal([0, 0, 4], 1.0, (24, 3))
    sigma, stretch = rng.uniform(0.01, 0.2, 24), rng.uniform(0.5, 4, 24)
    C = along_rays(sigma, points, stretch)
    np.testing.assert_allclose(mean_sigma(C), sigma)
    ray = points / np.linalg.norm(points, axis=1, keepdims=True)
    side = np.cross(ray, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    along, across = np.einsum("na,nab,nb->n", ray, C, ray), np.einsum("na,nab,nb->n", side, C, side)
    np.testing.assert_allclose(np.sqrt(along / across), stretch)
    np.testing.assert_allclose(np.einsum("na,nab,nb->n", ray, C, side), 0, atol=1e-12)


def test_fusion_is_that_of_independent_measurements(covariances):
    np.testing.assert_allclose(fused(covariances, covariances), covariances / 2)
    np.testing.assert_allclose(fused(covariances, 1e12 * np.eye(3)), covariances, rtol=1e-6)


def test_errors_drawn_from_a_covariance_lie_in_its_ellipsoids_as_often_as_chi_squared_says(covariances):
    rng = np.random.default_rng(2)
    C = covariances[0, 0]
    d = mahalanobis_squared(rng.multivariate_normal(np.zeros(3), C, 20000), C)
    for share in (0.68, 0.95):
        assert abs((d < chi2.ppf(share, 3)).mean() - share) < 0.01


def test_what_measurements_share_is_no_less_sure_than_they_are_alike():
    rng = np.random.default_rng(3)
    A, B = (M @ M.T + 0.1 * np.eye(3) for M in rng.normal(0, 1, (2, 3, 3)))
    np.testing.assert_allclose(shared([A, A, A]), A, rtol=1e-9)
    np.testing.assert_allclose(shared([A, B]), 2 * fused(A, B), rtol=1e-9)
    turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0]
    np.testing.assert_allclose(shared([turn @ C @ turn.T for C in (A, B)]), turn @ shared([A, B]) @ turn.T, rtol=1e-9)
