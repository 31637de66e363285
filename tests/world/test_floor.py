"""The floor, from depth and from feet."""

import numpy as np
import pytest
from tilted_camera import CAMERA

from hmr_ros.geometry.camera import unproject
from hmr_ros.world.floor import height_over_feet, height_over_floor, scale_of_floor, scaled_betas, scales_of_floor
from hmr_ros.world.gravity import rotation_of_tilt

UP = rotation_of_tilt(-20.0, 5.0)[2]


def depth_of_floor(height, box=False):
    """Depth [H,W] m of a floor and, with `box`, of a table half as deep below the camera in a quarter of the image."""
    pixels = np.stack(np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height)), -1)
    slope = unproject(pixels, CAMERA.K) @ UP
    heights = np.full(slope.shape, height)
    if box:
        heights[300:, :320] = height / 2
    with np.errstate(divide="ignore"):
        depth = -heights / slope
    return np.where((slope < 0) & (depth < 10), depth, np.nan)


@pytest.mark.parametrize("box", [False, True])
def test_the_lowest_level_plane_is_the_floor(box):
    noise = np.random.default_rng(0).normal(1, 0.005, (CAMERA.height, CAMERA.width))
    assert height_over_floor(depth_of_floor(1.6, box) * noise, CAMERA, UP) == pytest.approx(1.6, abs=0.02)


def test_no_floor_in_sight():
    assert height_over_floor(np.full((480, 640), np.nan), CAMERA, UP) is None
    wall = np.full((480, 640), 2.0)
    wall[240:] = np.nan  # a wall above the horizon
    assert height_over_floor(wall, CAMERA, rotation_of_tilt(0, 0)[2]) is None


def test_only_feet_that_stand_are_on_the_floor():
    points = np.random.default_rng(0).normal(size=(10, 4, 3))
    contacts = np.zeros((10, 4))
    assert height_over_feet(points, contacts) is None
    contacts[3], points[3, :, 2] = 0.9, -1.4
    assert height_over_feet(points, contacts) == pytest.approx(1.4)


def test_feet_below_the_floor_are_nearer_than_they_seem():
    points = np.tile([4.0, 0.0, -2.0], (10, 4, 1))
    found = scales_of_floor(points, np.ones((10, 4)), 1.6)
    np.testing.assert_allclose(found[:, 0], 0.8)
    assert 0.8 <= scale_of_floor(found, 0.0) < 0.85
    unsure = scale_of_floor(found, np.radians(20))
    assert 0.97 < unsure <= 1.0  # with gravity unknown, an average person is the better guess
    assert scale_of_floor(found[:5], 0.0) is None
    level = np.tile([4.0, 0.0, -0.02], (10, 4, 1))
    assert not len(scales_of_floor(level, np.ones((10, 4)), 1.6))  # seen from its own height, a floor says nothing


def test_scaled_shapes_have_scaled_bones(open_body):
    betas = np.random.default_rng(0).normal(size=10)
    assert np.allclose(scaled_betas(open_body, betas, 1.0), betas)
    before, after = (np.linalg.norm(open_body.bones(b), axis=1) for b in (betas, scaled_betas(open_body, betas, 0.9)))
    for leg in ([4, 7], [5, 8]):
        assert after[leg].sum() / before[leg].sum() == pytest.approx(0.9, abs=0.01)
