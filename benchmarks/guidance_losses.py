"""Guidance as ScoreHMR publishes it, for the peers that refinement is measured against: losses with their gradients
written out, the gradient of forward kinematics, and the guided step of Eq. 9 and 10.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import SUBTREES
from hmr_ros.diffusion.sampler import Denoiser, noised, predicted_x0
from hmr_ros.diffusion.schedule import ALPHAS
from hmr_ros.diffusion.skeleton import Posed

Guide = Callable[[Tensor], Tensor]  # x0-hat [...,D] -> gradient of the guidance loss with respect to it

_MIN_DEPTH_M = 0.1
_TINY = 1e-8
_PARENTS = [int(p) for p in SMPL_PARENTS]


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


def kinematics_gradient(posed: Posed, gradient: Tensor) -> Tensor:
    """Pull d loss / d joints [N,24,3] back to the local rotations [N,24,3,3] of `Skeleton.pose`."""
    moved = torch.as_tensor(SUBTREES - np.eye(len(_PARENTS)), dtype=gradient.dtype)
    lever = posed.joints[:, None] - posed.joints[:, :, None]  # [N,24,24,3] from the turned joint to every other
    moment = torch.einsum("jk,nka,njkb->njab", moved, gradient, lever)
    # joint k = joint j + above R_j (world^T lever), so d loss / d R_j = above^T (sum of gradient lever^T) world
    return posed.above.transpose(-1, -2) @ moment @ posed.world


def gradient_6d(x: Tensor, gradient: Tensor) -> Tensor:
    """Pull d loss / d R [...,J,3,3] back to x [...,J*6] through `rotations_from_6d`."""
    p, q = x.reshape(*x.shape[:-1], -1, 2, 3).unbind(-2)
    length_a = p.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    a = p / length_a
    v = q - (a * q).sum(-1, keepdim=True) * a
    length_b = v.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    b = v / length_b
    ga, gb, gc = gradient.unbind(-1)
    # c = a x b
    ga = ga + torch.linalg.cross(b, gc)
    gb = gb + torch.linalg.cross(gc, a)
    # b = v / |v|, v = q - (a.q) a
    gv = (gb - (gb * b).sum(-1, keepdim=True) * b) / length_b
    along = (gv * a).sum(-1, keepdim=True)
    gq = gv - along * a
    ga = ga - along * q - (a * q).sum(-1, keepdim=True) * gv
    # a = p / |p|
    gp = (ga - (ga * a).sum(-1, keepdim=True) * a) / length_a
    return torch.stack([gp, gq], -2).flatten(-3)


def guided(x_t: Tensor, noise: Tensor, t: int, guide: Guide) -> tuple[Tensor, Tensor]:
    """Eq. 9 and 10: (x0-hat', noise') after guidance.

    The gradient reaches x_t only through x0-hat (d x0-hat / d x_t = 1 / sqrt(a)), not through the denoiser.
    """
    a = ALPHAS[t]
    gradient = guide(predicted_x0(x_t, noise, t)) / math.sqrt(a)
    changed = noise + math.sqrt(1 - a) * gradient
    return predicted_x0(x_t, changed, t), changed


def guided_sample(x: Tensor, denoise: Denoiser, times: list[int], guide: Guide) -> Tensor:
    """From x_t at the first of the falling `times` to the last, every step guided by a gradient."""
    for t, s in pairwise(times):
        x = noised(*guided(x, denoise(x, t), t, guide), s)
    return x
