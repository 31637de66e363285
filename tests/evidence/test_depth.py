"""Surfaces around landmarks: the near one, its noise, and what is unknown."""

import numpy as np
import pytest

from hmr_ros.evidence.depth import surface_depths
from hmr_ros.synth.depth import depth_sigma

PIXEL = np.array([[50.0, 40.0]])


@pytest.fixture
def depth():
    """A limb 12 px wide at 2 m before a wall at 3 m."""
    image = np.full((80, 100), 3.0)
    image[:, 44:56] = 2.0
    return image


def test_the_limb_is_taken_and_not_the_wall_behind(depth):
    for x in (46.0, 50.0, 54.0):  # at its edges too
        z, sigma = surface_depths(depth, np.array([[x, 40.0]]), 5)
        assert z[0] == pytest.approx(2.0)
        assert sigma[0] < 0.01


def test_noise_averages_out(depth):
    rng = np.random.default_rng(0)
    noisy = depth + rng.normal(0, 0.02, depth.shape)
    z, _ = surface_depths(noisy, PIXEL, 5)
    assert abs(z[0] - 2.0) < 0.008


def test_far_surfaces_are_as_noisy_as_the_sensor_says_and_not_biased(depth):
    rng = np.random.default_rng(0)
    far = depth + 6.0
    noisy = far + rng.normal(size=far.shape) * depth_sigma(far)
    z, sigma = surface_depths(noisy, np.tile([[20.0, 40.0]], (1, 1)), 6)  # the wall
    assert abs(z[0] - 9.0) < 0.05
    assert sigma[0] > 0.03


def test_unknown_where_nothing_is_measured_or_seen(depth):
    depth[30:50, 40:60] = np.nan
    pixels = np.array([[50.0, 40.0], [-3.0, 40.0], [50.0, 200.0], [np.nan, 1.0]])
    z, sigma = surface_depths(depth, pixels, 5)
    assert np.isnan(z).all()
    assert np.isnan(sigma).all()


def test_holes_do_not_count(depth):
    holes = np.random.default_rng(0).random(depth.shape) < 0.5
    z, _ = surface_depths(np.where(holes, np.nan, depth), PIXEL, 5)
    assert z[0] == pytest.approx(2.0)
