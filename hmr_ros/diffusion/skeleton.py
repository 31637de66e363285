"""Forward kinematics of the 24 joints over 6D rotations, batched and fit for export."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LEVELS, SMPL_PARENTS

_TINY = 1e-8
# place of each joint's parent in the level above, and who of a level belongs to whom there
_UP = [
    [SMPL_LEVELS[d - 1].index(int(SMPL_PARENTS[j])) for j in level] if d else [] for d, level in enumerate(SMPL_LEVELS)
]
_FLAT = [j for level in SMPL_LEVELS for j in level]
_BACK = [_FLAT.index(j) for j in range(len(_FLAT))]


@dataclass(frozen=True)
class Posed:
    """Joints and world rotations of N posed people."""

    joints: Tensor  # [N,24,3] m, pelvis at the origin
    levels: list[Tensor]  # world rotations by depth in the tree, [N,n,3,3]
    order: list[int]  # where each of the 24 joints is among the levels put together


class Skeleton:
    """Bones of N people: `bones` [N,24,3] or [1,24,3] m, each joint's place in its parent's axes at rest."""

    def __init__(self, bones: Tensor) -> None:
        self._bones = [bones[:, level, :, None] for level in SMPL_LEVELS]

    def pose(self, rotations: Tensor) -> Posed:
        """Local rotations [N,24,3,3] -> joints."""
        world, at = [rotations[:, :1]], [torch.zeros_like(rotations[:, :1, :, :1])]
        for depth in range(1, len(SMPL_LEVELS)):
            up = world[-1][:, _UP[depth]]
            at.append(at[-1][:, _UP[depth]] + up @ self._bones[depth])
            world.append(up @ rotations[:, SMPL_LEVELS[depth]])
        return Posed(torch.cat(at, 1)[:, _BACK, :, 0], world, _BACK)


def rotations_from_6d(x: Tensor) -> Tensor:
    """[...,J*6] or [...,6]: first two columns of each rotation, any length -> [...,J,3,3] by Gram-Schmidt."""
    p, q = x.reshape(*x.shape[:-1], -1, 2, 3).unbind(-2)
    a = p / p.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    v = q - (a * q).sum(-1, keepdim=True) * a
    b = v / v.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)


def to_6d(rotations: Tensor) -> Tensor:
    """[...,J,3,3] -> [...,J*6], column after column."""
    return rotations[..., :2].transpose(-1, -2).flatten(-3)
