"""The field's metrics as pure functions; positions in metres, results in millimetres unless said otherwise."""

from __future__ import annotations

import numpy as np

from hmr_ros.types import Floats

_MM = 1000.0


def joint_errors(predicted: Floats, truth: Floats, root: Floats | slice | int = 0) -> Floats:
    """Distance of each joint [N,J] mm after the roots coincide; joints [N,J,3] m, `root` = index or indices whose mean
    is the root (MPJPE is the mean of this)."""
    a = predicted - _root(predicted, root)
    b = truth - _root(truth, root)
    return _MM * np.linalg.norm(a - b, axis=-1)


def procrustes_errors(predicted: Floats, truth: Floats) -> Floats:
    """Distance of each joint [N,J] mm after the best similarity transform (PA-MPJPE is the mean of this)."""
    return _MM * np.linalg.norm(similarity_align(predicted, truth) - truth, axis=-1)


def similarity_align(source: Floats, target: Floats) -> Floats:
    """`source` [N,J,3] after the similarity transform that brings it closest to `target` (Umeyama 1991)."""
    scale, R, t = similarity(source, target)
    return scale[..., None, None] * (source @ np.swapaxes(R, -1, -2)) + t[..., None, :]


def similarity(source: Floats, target: Floats) -> tuple[Floats, Floats, Floats]:
    """Scale s [N], rotation R [N,3,3], translation t [N,3] with which s R x + t brings `source` [N,J,3] closest."""
    mean_s, mean_t = source.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    s, t = source - mean_s, target - mean_t
    U, D, Vt = np.linalg.svd(np.swapaxes(s, -1, -2) @ t)
    sign = np.ones_like(D)
    sign[..., -1] = np.sign(np.linalg.det(U @ Vt))  # a rotation, never a mirror
    R = np.swapaxes((U * sign[..., None, :]) @ Vt, -1, -2)
    scale = (D * sign).sum(-1) / np.maximum((s**2).sum((-1, -2)), 1e-12)
    moved = scale[..., None, None] * (mean_s @ np.swapaxes(R, -1, -2))
    return scale, R, (mean_t - moved)[..., 0, :]


def acceleration_errors(predicted: Floats, truth: Floats, fps: float) -> Floats:
    """|second difference of the error| [F-2,J] m/s^2 of joints [F,J,3] m of one person in consecutive frames."""
    return np.linalg.norm(np.diff(predicted, n=2, axis=0) - np.diff(truth, n=2, axis=0), axis=-1) * fps**2


def pck(errors_mm: Floats, threshold_mm: float = 150.0) -> float:
    """Share of joints nearer than the threshold, 0..1."""
    return float((errors_mm < threshold_mm).mean())


def _root(joints: Floats, root: Floats | slice | int) -> Floats:
    chosen = joints[..., root, :]
    return chosen[..., None, :] if isinstance(root, int) else chosen.mean(-2, keepdims=True)
