"""Skeletons of people in an image, and how sure their joints are."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from hmr_ros.body.joints import SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.types import Floats, Human, Image

_INSIDE_95 = 2.4477  # standard deviations: sqrt of the chi-squared quantile with two degrees of freedom
_FAINT = 0.35
_LEAST_Z_M = 0.05
_SUBPIXEL = 4  # binary digits of OpenCV's fixed-point coordinates


def track_color(track_id: int) -> tuple[float, float, float]:
    """BGR colour of an identity: the same for ever, far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((0.58 + 0.381966 * track_id) % 1.0, 0.55, 1.0)
    return 255 * blue, 255 * green, 255 * red


def draw_skeleton(image: Image, joints_2d: Floats, color: tuple[float, float, float]) -> None:
    """Bones and joints [24,2] px drawn into `image`; what is NaN is left out."""
    thickness = max(1, round(image.shape[1] / 640))
    dark = tuple(0.45 * c for c in color)
    points = pixels(joints_2d)
    for joint, parent in enumerate(SMPL_PARENTS.tolist()):
        if parent in points and joint in points:
            cv2.line(image, points[parent], points[joint], dark, thickness, cv2.LINE_AA)
    for point in points.values():
        cv2.circle(image, point, thickness + 1, (255, 255, 255), -1, cv2.LINE_AA)


def draw_ellipses(image: Image, human: Human) -> None:
    """The ellipse of each limb joint that holds it with 95 %, drawn into `image`."""
    thickness = max(1, round(image.shape[1] / 640))
    dark = tuple(0.45 * c for c in track_color(human.track_id))
    covariances = image_covariances(human.joints, unpacked(human.joint_covariance), human.K)
    for joint in SMPL_LIMBS.tolist():
        center, covariance = human.joints_2d[joint], covariances[joint]
        if not (np.isfinite(center).all() and np.isfinite(covariance).all()):
            continue
        values, vectors = np.linalg.eigh(covariance)
        axes = np.clip(_INSIDE_95 * np.sqrt(np.maximum(values, 0.0)), 0, 10_000)[::-1]
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        scale = 2**_SUBPIXEL
        cx, cy = np.clip(np.round(center * scale), -10_000 * scale, 10_000 * scale).astype(int).tolist()
        a, b = np.round(axes * scale).astype(int).tolist()
        cv2.ellipse(image, (cx, cy), (a, b), angle, 0, 360, dark, thickness, cv2.LINE_AA, _SUBPIXEL)


def draw_hypotheses(image: Image, human: Human) -> Image:
    """New image with everybody's hypotheses as faint skeletons; the same image where there are none."""
    if human.hypotheses is None:
        return image
    layer = image.copy()
    for joints in human.hypotheses.joints:
        draw_skeleton(layer, np.where(joints[:, 2:] > _LEAST_Z_M, project(joints, human.K), np.nan), (255, 255, 255))
    return np.asarray(cv2.addWeighted(layer, _FAINT, image, 1 - _FAINT, 0), np.uint8)


def image_covariances(joints: Floats, covariance: Floats, K: Floats) -> Floats:
    """Covariance [J,2,2] px^2 of the pixels of joints [J,3] m with `covariance` [J,3,3] m^2, to first order; lens
    distortion is left out. NaN behind the camera."""
    z = np.where(joints[:, 2] > _LEAST_Z_M, joints[:, 2], np.nan)
    slopes = np.zeros((len(joints), 2, 3))
    slopes[:, 0, 0], slopes[:, 1, 1] = 1 / z, 1 / z
    slopes[:, :, 2] = -joints[:, :2] / z[:, None] ** 2
    slopes = K[:2, :2] @ slopes
    return np.asarray(slopes @ covariance @ np.swapaxes(slopes, 1, 2))


def pixels(points_px: Floats) -> dict[int, tuple[int, int]]:
    """Points [N,2] px that exist (NaN: behind the camera), by their index, near enough for OpenCV's integers."""
    known = np.flatnonzero(np.isfinite(points_px).all(-1))
    rounded = np.clip(np.round(points_px[known]), -10_000, 10_000).astype(int)
    return {i: (x, y) for i, (x, y) in zip(known.tolist(), rounded.tolist(), strict=True)}
