"""Key points as rays, and normalised: as a camera aimed at the person would see them, at unit size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.geometry.camera import undistort_points
from hmr_ros.types import Camera, Floats

_FLOOR = 0.1  # weight of key points that are only guessed
_LEAST_Z = 0.05  # points far to the side of where the camera is aimed stay in front of it


@dataclass(frozen=True)
class Normalised:
    """N people; R_camera_aimed takes directions of the aimed camera to the real one."""

    # [N,33,6] u, v in units of `scale`; confidence; world landmarks m (camera axes), trunk and legs as in `leans`
    points: Floats
    scale: Floats  # [N] size of the person on the plane z = 1 of the aimed camera
    R_camera_aimed: Floats  # [N,3,3]
    # [N,12,2] what the image says of how directed bones lean: sine of the angle to the aimed camera's plane (positive:
    # away), and sigma, infinite where it says nothing; None where it does of nobody
    leans: Floats | None = None


def normalise(rays: Floats, confidence: Floats, world: Floats) -> Normalised:
    """`rays` [N,33,2] key points on the plane z = 1 of the real camera, `confidence` [N,33], `world` [N,33,3] m."""
    weights = (_FLOOR + confidence)[..., None]
    center = (rays * weights).sum(1) / weights.sum(1)
    R = aim(center)
    plane = aimed_plane(rays, R)
    spread = ((plane**2).sum(-1, keepdims=True) * weights).sum(1) / weights.sum(1)
    scale = np.sqrt(np.maximum(spread[:, 0], 1e-8))
    points = np.concatenate([plane / scale[:, None, None], confidence[..., None], world], -1)
    return Normalised(points, scale, R)


def aimed_plane(rays: Floats, R_camera_aimed: Floats) -> Floats:
    """`rays` [N,P,2] on the plane z = 1 of the real camera -> on that of the aimed ones [N,P,2]."""
    turned = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ R_camera_aimed  # rows: R^T ray
    return np.asarray(turned[..., :2] / np.maximum(turned[..., 2:], _LEAST_Z))


def aimed_heat(heat: Floats, camera: Camera, R_camera_aimed: Floats, scale: Floats) -> Floats:
    """Moments of heat maps [N,33,6] in pixels (`Keypoints.heat`) as the cameras aimed at the people see them, in sizes
    of the person and their squares; the mass stays."""
    mean = heat[..., :2]
    shifted = [mean + np.array(pixel) for pixel in ((0, 0), (1, 0), (0, 1))]
    at, right, down = (aimed_plane(rays_of(p, camera), R_camera_aimed) / scale[:, None, None] for p in shifted)
    J = np.stack([right - at, down - at], -1)  # [N,33,2,2] plane over pixels
    covariance = J @ heat[..., [2, 3, 3, 4]].reshape(*mean.shape[:2], 2, 2) @ np.swapaxes(J, -1, -2)
    flat = covariance.reshape(*mean.shape[:2], 4)[..., [0, 1, 3]]
    return np.concatenate([at, flat, heat[..., 5:]], -1)


def rays_of(pixels: Floats, camera: Camera) -> Floats:
    """Pixels [N,P,2] of the image -> the plane z = 1 [N,P,2], without lens distortion."""
    flat = undistort_points(pixels.reshape(-1, 2), camera)
    rays = (flat - camera.K[:2, 2]) @ np.linalg.inv(camera.K[:2, :2]).T
    return np.asarray(rays.reshape(pixels.shape))


def aim(center: Floats) -> Floats:
    """Shortest rotation [N,3,3] that takes the optical axis to the ray through `center` [N,2] on the plane z = 1."""
    z = np.concatenate([center, np.ones_like(center[:, :1])], -1)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    x, y, c = z[:, 0], z[:, 1], z[:, 2]
    f = 1.0 / (1.0 + c)
    rows = [1 - f * x * x, -f * x * y, x, -f * x * y, 1 - f * y * y, y, -x, -y, c]
    return np.stack(rows, -1).reshape(-1, 3, 3)
