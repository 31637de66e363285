"""Rotated square crops around people and the way back to image coordinates: the only place that does either."""

from __future__ import annotations

import cv2
import numpy as np

from hmr_ros.types import Floats, Image, Roi


def crop_matrix(roi: Roi, side_px: int) -> Floats:
    """Affine map [2,3] from image pixels to the pixels of a `side_px` square crop of `roi`."""
    scale = side_px / roi.size_px
    c, s = np.cos(roi.angle_rad) * scale, np.sin(roi.angle_rad) * scale
    linear = np.array([[c, s], [-s, c]])
    offset = side_px / 2 - linear @ np.asarray(roi.center_px, np.float64)
    return np.c_[linear, offset]


def crop_axes(angle_rad: Floats | float) -> Floats:
    """From the camera's axes to those of an upright crop, turned about the optical axis: [...,3,3]."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    zero, one = np.zeros_like(c), np.ones_like(c)
    rows = [np.stack(row, -1) for row in ((c, s, zero), (-s, c, zero), (zero, zero, one))]
    return np.stack(rows, -2)


def invert_affine(M: Floats) -> Floats:
    """Inverse [2,3] of an affine map [2,3]."""
    linear = np.linalg.inv(M[:, :2])
    return np.c_[linear, -linear @ M[:, 2]]


def transform_points(M: Floats, points: Floats) -> Floats:
    """Affine map [2,3] applied to points [...,2]."""
    return points @ M[:, :2].T + M[:, 2]


def crop(image: Image, roi: Roi, side_px: int) -> Image:
    """Upright square [side,side,3] of `roi`; black where it leaves the image."""
    return np.asarray(cv2.warpAffine(image, crop_matrix(roi, side_px), (side_px, side_px)), np.uint8)


def smooth_crop(image: Image, roi: Roi, side_px: int) -> Image:
    """`crop` of a roi that may be many times larger: pixels are averaged, not skipped."""
    times = max(1, int(roi.size_px / side_px))
    if times == 1:
        return crop(image, roi, side_px)
    large = crop(image, roi, times * side_px)
    return np.asarray(cv2.resize(large, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def roi_from_points(center_px: Floats, top_px: Floats, scale: float) -> Roi:
    """Square centred at `center_px` whose upward axis passes through `top_px`; side = 2 x `scale` x their distance."""
    v = np.asarray(top_px, np.float64) - center_px
    angle = float(np.arctan2(v[1], v[0]) + np.pi / 2)
    return Roi(np.asarray(center_px, np.float64), float(2 * scale * np.linalg.norm(v)), angle)
