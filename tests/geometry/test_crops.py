"""Crops: there and back, and the same turn in the image as in space."""

import numpy as np
import pytest

from hmr_ros.geometry.crops import crop_axes, crop_matrix, invert_affine, transform_points
from hmr_ros.types import Roi

ROI = Roi(np.array([310.0, 140.0]), 250.0, 0.7)


def test_pixels_come_back():
    points = np.random.default_rng(0).uniform(0, 640, (20, 2))
    M = crop_matrix(ROI, 256)
    np.testing.assert_allclose(transform_points(invert_affine(M), transform_points(M, points)), points, atol=1e-9)


def test_the_middle_of_the_roi_is_the_middle_of_the_crop():
    np.testing.assert_allclose(transform_points(crop_matrix(ROI, 256), ROI.center_px), [128, 128])


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
def test_axes_turn_as_pixels_do(angle):
    roi = Roi(ROI.center_px, ROI.size_px, angle)
    np.testing.assert_allclose(256 / 250 * crop_axes(angle)[:2, :2], crop_matrix(roi, 256)[:, :2], atol=1e-12)
    np.testing.assert_allclose(crop_axes(np.array([0.1, angle]))[1], crop_axes(angle))
    np.testing.assert_allclose(crop_axes(angle) @ crop_axes(-angle), np.eye(3), atol=1e-12)
