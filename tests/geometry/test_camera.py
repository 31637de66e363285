"""Projection and distortion round trips."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import (
    check_intrinsics,
    distort_points,
    fit_camera,
    guess_camera,
    project,
    undistort_points,
    unproject,
    window_intrinsics,
)
from hmr_ros.types import Camera

K = np.array([[600.0, 0, 320], [0, 590, 240], [0, 0, 1]])


def test_unproject_inverts_project():
    points = np.random.default_rng(0).uniform([-1, -1, 1], [1, 1, 5], (50, 3))
    rays = unproject(project(points, K), K)
    np.testing.assert_allclose(rays * points[:, 2:], points, atol=1e-9)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(project(np.array([[0.1, 0.1, -1.0]]), K)).all()


@pytest.mark.parametrize(
    ("distortion", "fisheye"),
    [((-0.2, 0.05, 0.001, -0.002, 0.01), False), ((0.02, -0.01, 0.001, 0.0), True)],
)
def test_undistortion_inverts_distortion(distortion, fisheye):
    camera = Camera(K, 640, 480, np.array(distortion), fisheye)
    ideal = np.random.default_rng(1).uniform([100, 100], [540, 380], (40, 2))
    distorted = distort_points(ideal, camera)
    assert np.abs(distorted - ideal).max() > 1
    np.testing.assert_allclose(undistort_points(distorted, camera), ideal, atol=0.05)


def test_guess_sees_sixty_degrees_across_the_longer_side():
    camera = guess_camera(480, 640)
    top = unproject(np.array([[camera.K[0, 2], camera.K[1, 2] - 320]]), camera.K)[0]
    assert np.degrees(np.arctan(-top[1])) == pytest.approx(30)
    assert camera.guessed


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(4)])
def test_impossible_camera_matrices_are_refused(bad):
    with pytest.raises(InputError, match="not a camera matrix"):
        check_intrinsics(bad)


def test_intrinsics_are_scaled_with_the_image():
    camera = Camera(np.array([[800.0, 0, 640], [0, 800, 360], [0, 0, 1]]), 1280, 720)
    half = fit_camera(camera, 640, 360)
    assert half.K[0, 0] == 400 and half.K[1, 2] == 180 and half.K[2, 2] == 1 and half.width == 640
    assert fit_camera(camera, 1280, 720).K is camera.K and fit_camera(None, 64, 48).guessed
    with pytest.raises(InputError, match=r"calibration is for 1280x720, the image is 640x480"):
        fit_camera(camera, 640, 480)


@pytest.mark.parametrize(("offset", "binning"), [((100, 40), (1, 1)), ((0, 0), (2, 2)), ((64, 32), (2, 4))])
def test_a_window_of_the_sensor_sees_the_same_rays(offset, binning):
    points = np.random.default_rng(2).uniform([-1, -1, 2], [1, 1, 5], (20, 3))
    full, window = project(points, K), project(points, window_intrinsics(K, offset, binning))
    np.testing.assert_allclose(window, (full - offset) / binning, atol=1e-9)
