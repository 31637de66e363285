"""Guidance losses of ScoreHMR as pure functions: each returns its value and its written-out gradient."""

from __future__ import annotations

import torch
from torch import Tensor

GEMAN_MCCLURE_PX = 100.0  # in pictures of 1000 pixels on the longer side
_MIN_DEPTH_M = 0.1


def keypoint_loss(
    joints: Tensor, pelvis: Tensor, rays: Tensor, weights: Tensor, sigma: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Reprojection (Eq. 12): sum of weights^2 * Geman-McClure of the distance on the plane z = 1.

    `joints` [N,J,3] m from `pelvis` [N,3] m, `rays` [N,J,2] where they are seen, `weights` [N,J] confidences,
    `sigma` the distance beyond which a key point loses its pull. Returns the loss [N], its gradient with respect to
    the joints [N,J,3] and to the pelvis [N,3].
    """
    at = joints + pelvis[:, None]
    z = at[..., 2:].clamp_min(_MIN_DEPTH_M)
    projected = at[..., :2] / z
    error = projected - rays
    squared = error.square().sum(-1)
    s2 = torch.as_tensor(sigma, dtype=joints.dtype, device=joints.device).reshape(-1, 1) ** 2
    w2 = weights.square()
    loss = (w2 * s2 * squared / (s2 + squared)).sum(-1)
    pull = (2 * w2 * (s2 / (s2 + squared)).square())[..., None] * error  # d loss / d projected
    gradient = torch.cat([pull, -(pull * projected).sum(-1, keepdim=True)], -1) / z
    return loss, gradient, gradient.sum(1)


def temporal_loss(x: Tensor, seconds: Tensor, period_s: float = 1 / 30) -> tuple[Tensor, Tensor]:
    """Temporal consistency (Eq. 14): squared 6D difference of neighbouring frames, `x` [...,W,D].

    `seconds` [...,W-1] between neighbours; a difference over a longer time counts less, `period_s` counts fully.
    Returns the loss [...] and the gradient [...,W,D].
    """
    weight = (period_s / seconds)[..., None]
    step = x[..., 1:, :] - x[..., :-1, :]
    pull = 2 * weight * step
    gradient = torch.zeros_like(x)
    gradient[..., 1:, :] += pull
    gradient[..., :-1, :] -= pull
    return (weight * step.square()).sum((-1, -2)), gradient


def steady_loss(x: Tensor, seconds: Tensor, period_s: float = 1 / 30) -> tuple[Tensor, Tensor]:
    """Like `temporal_loss` for changes of speed, so that steady motion costs nothing: `x` [...,W,D]."""
    speed = (x[..., 1:, :] - x[..., :-1, :]) * (period_s / seconds)[..., None]
    change = speed[..., 1:, :] - speed[..., :-1, :]
    pull = 2 * change
    to_speed = torch.zeros_like(speed)
    to_speed[..., 1:, :] += pull
    to_speed[..., :-1, :] -= pull
    to_speed = to_speed * (period_s / seconds)[..., None]
    gradient = torch.zeros_like(x)
    gradient[..., 1:, :] += to_speed
    gradient[..., :-1, :] -= to_speed
    return change.square().sum((-1, -2)), gradient


def multiview_loss(x: Tensor, rotations: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cross-view consistency (Eq. 13) of V views of one person, `x` [V,...,144] with 24 joints of 6 numbers.

    Sum of squared 6D differences to the mean of all views, which is half the sum over pairs divided by V. The first
    joint takes part only where `rotations` [V,3,3] (view -> common axes) are known. Returns loss [...], gradient.
    """
    first = x[..., :6].reshape(*x.shape[:-1], 2, 3)
    if rotations is None:
        turned = torch.zeros_like(first)
    else:
        R = rotations.reshape(len(x), *([1] * (x.dim() - 2)), 3, 3)
        turned = first @ R.transpose(-1, -2)  # each column turned: rows of `first` are columns of the rotation
    common = torch.cat([turned.flatten(-2), x[..., 6:]], -1)
    difference = common - common.mean(0, keepdim=True)
    gradient = 2 * difference
    if rotations is None:
        root = torch.zeros_like(gradient[..., :6])
    else:
        root = (gradient[..., :6].reshape(first.shape) @ R).flatten(-2)
    return difference.square().sum((0, -1)), torch.cat([root, gradient[..., 6:]], -1)


def evidence_loss(x: Tensor, mean: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussian distance to what the evidence says: `x`, `mean` [...,144], `sigma` [...,24] a joint."""
    precision = (1 / sigma.square()).repeat_interleave(6, -1)
    difference = x - mean
    return 0.5 * (precision * difference.square()).sum(-1), precision * difference


def stopped(loss: Tensor, before: Tensor, threshold: float = 1e-5) -> Tensor:
    """Which samples need no more guidance: relative change of the loss below `threshold` (ScoreHMR's stop rule)."""
    size = torch.maximum(torch.maximum(loss, before), torch.ones_like(loss))
    return (loss - before).abs() / size < threshold
