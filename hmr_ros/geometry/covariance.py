"""Covariances of points in space: along a ray and across it, packed for messages, and how far off a point is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hmr_ros.types import Floats

_AXES = np.arange(3)
_ROWS, _COLUMNS = np.triu_indices(3)  # xx, xy, xz, yy, yz, zz


def packed(covariance: Floats) -> Floats:
    """[...,3,3] -> the upper triangle [...,6]: xx, xy, xz, yy, yz, zz."""
    return np.asarray(covariance[..., _ROWS, _COLUMNS])


def unpacked(upper: Floats) -> Floats:
    """[...,6] -> [...,3,3]."""
    out = np.empty((*upper.shape[:-1], 3, 3), upper.dtype)
    out[..., _ROWS, _COLUMNS] = out[..., _COLUMNS, _ROWS] = upper
    return out


def turned(upper: Floats, R: Floats) -> Floats:
    """Packed covariances [...,6] in axes turned by `R` [3,3]."""
    return packed(R @ unpacked(upper) @ R.T)


def mean_sigma(covariance: Floats) -> Floats:
    """[...,3,3] -> one standard deviation an axis, the root of the mean diagonal [...]."""
    return np.asarray(np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 3))


def along_rays(sigma: Floats, points: Floats, stretch: Floats) -> Floats:
    """Covariance [...,3,3] whose mean diagonal is `sigma`^2 [...], with a standard deviation `stretch` times as large
    along the ray from the camera to `points` [...,3] as across it."""
    ray = points / np.maximum(np.sqrt((points * points).sum(-1, keepdims=True)), 1e-9)
    across = 3 * sigma**2 / (2 + stretch**2)
    out = ray[..., :, None] * ((across * (stretch**2 - 1))[..., None] * ray)[..., None, :]
    out[..., _AXES, _AXES] += across[..., None]
    return np.asarray(out)


def fused(first: Floats, second: Floats) -> Floats:
    """What two independent measurements [...,3,3] of one point say together."""
    return np.asarray(np.linalg.inv(np.linalg.inv(first) + np.linalg.inv(second)))


def shared(covariances: Sequence[Floats]) -> Floats:
    """What several measurements [...,k,k] of one thing say together whose errors may be alike in any way: covariance
    intersection with equal weights, the mean of their information. The best estimate weighs each by its information."""
    return np.asarray(np.linalg.inv(np.mean([np.linalg.inv(c) for c in covariances], 0)))


def mahalanobis_squared(errors: Floats, covariance: Floats) -> Floats:
    """e^T C^-1 e [...] of errors [...,3]; chi-squared with three degrees of freedom where C is right."""
    return np.asarray((errors * np.linalg.solve(covariance, errors[..., None])[..., 0]).sum(-1))
