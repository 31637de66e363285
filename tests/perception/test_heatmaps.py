"""Moments of the heat maps."""

import numpy as np

from hmr_ros.perception.heatmaps import HEATMAP_PX, moments, moved

CELLS_PER_PX = HEATMAP_PX / 256


def gaussian_heat(mean, covariance, height=0.9):
    """Logits [64,64,1] of a Gaussian in cells (x, y)."""
    rows, cols = np.mgrid[:HEATMAP_PX, :HEATMAP_PX]
    d = np.stack([cols - mean[0], rows - mean[1]], -1)
    heat = height * np.exp(-0.5 * np.einsum("rci,ij,rcj->rc", d, np.linalg.inv(covariance), d))
    heat = np.clip(heat, 1e-9, 1 - 1e-9)
    return np.log(heat / (1 - heat))[..., None]


def test_moments_are_those_of_the_gaussian_that_the_heat_is():
    covariance = np.array([[3.0, 1.2], [1.2, 1.5]])
    heat = gaussian_heat((20.3, 41.6), covariance)
    x, y, xx, xy, yy, mass = moments(np.array([[20.0, 41.0]]) / CELLS_PER_PX, heat, CELLS_PER_PX)[0]
    np.testing.assert_allclose([x * CELLS_PER_PX, y * CELLS_PER_PX], [20.3, 41.6], atol=0.02)
    np.testing.assert_allclose(np.array([xx, xy, yy]) * CELLS_PER_PX**2, [3.0, 1.2, 1.5], rtol=0.03)
    np.testing.assert_allclose(mass, 0.9 * 2 * np.pi * np.sqrt(np.linalg.det(covariance)), rtol=0.01)


def test_a_map_without_heat_has_no_mass_and_the_spread_of_the_window():
    found = moments(np.array([[128.0, 128.0], [-400.0, 900.0]]), np.full((64, 64, 2), -40.0), CELLS_PER_PX)
    assert np.isfinite(found).all() and (found[:, 5] < 1e-6).all()
    np.testing.assert_allclose(found[0, 2] * CELLS_PER_PX**2, np.var(np.arange(15)), rtol=1e-6)


def test_moments_follow_an_affine_map_of_the_plane():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 2)) @ np.array([[2.0, 0.3], [0.0, 0.7]]) + [5.0, -3.0]
    M = np.array([[0.3, -1.1, 7.0], [0.9, 0.4, -2.0]])

    def of(points):
        c = np.cov(points.T, bias=True)
        return np.r_[points.mean(0), c[0, 0], c[0, 1], c[1, 1], 4.0][None]

    np.testing.assert_allclose(moved(of(points), M), of(points @ M[:, :2].T + M[:, 2]), rtol=1e-9)
