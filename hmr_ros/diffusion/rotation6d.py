"""6D rotations (Zhou et al. 2019) with the gradient written out, so that no autograd is needed at run time."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-8


def rotations_from_6d(x: Tensor) -> Tensor:
    """[...,J*6] or [...,6]: first two columns of each rotation, any length -> [...,J,3,3] by Gram-Schmidt."""
    a, b, _, _ = _columns(x)
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)


def to_6d(rotations: Tensor) -> Tensor:
    """[...,J,3,3] -> [...,J*6], column after column."""
    return rotations[..., :2].transpose(-1, -2).flatten(-3)


def gradient_6d(x: Tensor, gradient: Tensor) -> Tensor:
    """Pull d loss / d R [...,J,3,3] back to x [...,J*6]."""
    a, b, length_a, length_b = _columns(x)
    ga, gb, gc = gradient.unbind(-1)
    # c = a x b
    ga = ga + torch.linalg.cross(b, gc)
    gb = gb + torch.linalg.cross(gc, a)
    # b = v / |v|, v = q - (a.q) a
    q = x.reshape(*x.shape[:-1], -1, 2, 3)[..., 1, :]
    gv = (gb - (gb * b).sum(-1, keepdim=True) * b) / length_b
    along = (gv * a).sum(-1, keepdim=True)
    gq = gv - along * a
    ga = ga - along * q - (a * q).sum(-1, keepdim=True) * gv
    # a = p / |p|
    gp = (ga - (ga * a).sum(-1, keepdim=True) * a) / length_a
    return torch.stack([gp, gq], -2).flatten(-3)


def _columns(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    p, q = x.reshape(*x.shape[:-1], -1, 2, 3).unbind(-2)
    length_a = p.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    a = p / length_a
    v = q - (a * q).sum(-1, keepdim=True) * a
    length_b = v.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    return a, v / length_b, length_a, length_b
