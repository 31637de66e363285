"""Pinhole projection, lens distortion and the ways to come by a camera matrix."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.plausibility import check_camera
from hmr_ros.types import Camera, Floats

_log = logging.getLogger(__name__)
GUESSED_FOV_DEG = 60.0  # of the longer image side: between a webcam (55-78) and a phone (65)


def guess_camera(width: int, height: int) -> Camera:
    """Camera for an uncalibrated image: centred principal point, 60 degrees across the longer side."""
    focal = 0.5 * max(width, height) / np.tan(np.radians(GUESSED_FOV_DEG) / 2)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, width, height, guessed=True)


def check_intrinsics(K: Floats) -> Floats:
    """K [3,3] as float64, or InputError where it cannot be a camera matrix (NaN, zero focal length)."""
    K = np.asarray(K, dtype=np.float64)
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(
            f"not a camera matrix: {np.round(K, 3).tolist()}; it takes finite numbers, focal lengths above 0"
        )
    return K


def fit_camera(camera: Camera | None, width: int, height: int) -> Camera:
    """`camera` for an image of this size px: guessed when None, scaled when it was calibrated at another resolution.

    InputError where no camera has such intrinsics, or the aspect ratio differs: then they belong to another image.
    """
    if camera is None:
        return guess_camera(width, height)
    if not camera.width or not camera.height:
        camera = replace(camera, width=width, height=height)
    return scaled_camera(check_camera(camera), width, height)


def scaled_camera(camera: Camera, width: int, height: int) -> Camera:
    """`camera` for an image of this size px, which shows the same; InputError where the aspect ratio differs."""
    if (camera.width, camera.height) == (width, height):
        return camera
    scale = width / camera.width
    if abs(camera.height * scale - height) > 1.5:
        raise InputError(
            f"calibration is for {camera.width}x{camera.height}, the image is {width}x{height}; "
            "give the calibration of this video mode"
        )
    _say_scaled(camera.width, camera.height, width, height)
    K = np.asarray(camera.K, np.float64).copy()
    K[:2] *= scale
    return replace(camera, K=K, width=width, height=height)


@functools.cache  # once for each pair of sizes, not for each image
def _say_scaled(from_width: int, from_height: int, width: int, height: int) -> None:
    _log.warning("calibration for %dx%d is scaled to images of %dx%d", from_width, from_height, width, height)


def window_intrinsics(K: Floats, offset_px: tuple[int, int], binning: tuple[int, int]) -> Floats:
    """K [3,3] of the full sensor -> K [3,3] of the image that is made of a window of it.

    `offset_px`: (x, y) of the window's corner in pixels of the sensor; `binning`: (x, y) sensor pixels that make one
    pixel of the image, 1 or more. Lens distortion is not affected: it is a matter of angles.
    """
    K = np.array(K, np.float64)
    K[:2, 2] -= offset_px
    K[:2] /= np.array(binning, np.float64)[:, None]
    return K


def project(points: Floats, K: Floats) -> Floats:
    """Points [...,3] m in the camera frame -> [...,2] px; NaN for points not in front of the camera."""
    z = points[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = points[..., :2] / np.where(z > 0, z, np.nan)
    return uv @ K[:2, :2].T + K[:2, 2]


def unproject(points_px: Floats, K: Floats) -> Floats:
    """Pixels [...,2] -> points [...,3] on the plane z = 1 of the camera frame."""
    homogeneous = np.concatenate([points_px, np.ones_like(points_px[..., :1])], axis=-1)
    return homogeneous @ np.linalg.inv(K).T


def undistort_points(points_px: Floats, camera: Camera) -> Floats:
    """Pixels [N,2] of the image -> pixels [N,2] of the ideal pinhole camera with the same K."""
    if camera.distortion is None or not np.any(camera.distortion):
        return points_px
    pts = np.ascontiguousarray(points_px, dtype=np.float64).reshape(-1, 1, 2)
    K, D = np.asarray(camera.K, np.float64), np.asarray(camera.distortion, np.float64)
    undistort = cv2.fisheye.undistortPoints if camera.fisheye else cv2.undistortPoints
    return np.asarray(undistort(pts, K, D, P=K)).reshape(-1, 2)


def distort_points(points_px: Floats, camera: Camera) -> Floats:
    """Inverse of `undistort_points`: ideal pixels [N,2] -> pixels [N,2] of the image."""
    if camera.distortion is None or not np.any(camera.distortion):
        return points_px
    K, D = np.asarray(camera.K, np.float64), np.asarray(camera.distortion, np.float64)
    rays = unproject(np.asarray(points_px, np.float64), K)
    if camera.fisheye:
        return np.asarray(cv2.fisheye.distortPoints(np.ascontiguousarray(rays[:, None, :2]), K, D)).reshape(-1, 2)
    out, _ = cv2.projectPoints(np.ascontiguousarray(rays[:, None]), np.zeros(3), np.zeros(3), K, D)
    return np.asarray(out).reshape(-1, 2)
