"""Where a posed skeleton stands: translation from its 2D joints and the real intrinsics."""

from __future__ import annotations

import numpy as np

from hmr_ros.types import Floats

_ITERATIONS = 3
_MIN_DEPTH_M = 0.1


def translation_from_points(points: Floats, points_px: Floats, weights: Floats, K: Floats) -> Floats:
    """Translation t [3] m that brings project(points + t, K) closest to `points_px` [N,2] in weighted least squares.

    `points` [N,3] m are oriented as in the camera frame. Each pixel gives two equations linear in t; dividing them by
    the depth found last turns the algebraic error into pixels, and Cauchy weights take the pull from outliers.
    Returns NaN where fewer than two points carry weight (the depth is then unknown).
    """
    if np.count_nonzero(weights > 0) < 2:
        return np.full(3, np.nan)
    focal = np.array([K[0, 0], K[1, 1]])
    rays = np.linalg.solve(K, np.c_[points_px, np.ones(len(points_px))].T).T[:, :2]  # at z = 1
    A = np.zeros((len(points), 2, 3))
    A[:, 0, 0] = A[:, 1, 1] = 1.0
    A[:, :, 2] = -rays
    b = rays * points[:, 2:] - points[:, :2]
    scale = np.sqrt(np.maximum(weights, 0.0))[:, None] * focal
    t = np.zeros(3)
    robust = np.ones((len(points), 1))
    depth = np.ones((len(points), 1))
    for _ in range(_ITERATIONS):
        rows = scale * np.sqrt(robust) / depth
        t = np.linalg.lstsq((A * rows[..., None]).reshape(-1, 3), (b * rows).reshape(-1), rcond=None)[0]
        depth = np.maximum(points[:, 2:] + t[2], _MIN_DEPTH_M)
        error_px = np.linalg.norm((A @ t - b) * focal / depth, axis=1, keepdims=True)
        robust = 1.0 / (1.0 + (error_px / max(4.0, 2.0 * float(np.median(error_px)))) ** 2)
    return t
