"""Forward kinematics of the 24 joints over 6D rotations, batched and fit for export."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import SUBTREES
from hmr_ros.diffusion.constants import constant

_TINY = 1e-8
_JOINTS = len(SMPL_PARENTS)
# behind the joints the axes around them, which hang on those of the world
_PARENTS = [*(int(p) if p >= 0 else _JOINTS for p in SMPL_PARENTS), _JOINTS + 1, _JOINTS + 1]


@dataclass(frozen=True)
class Posed:
    """Joints and world rotations of N posed people."""

    joints: Tensor  # [N,24,3] m, pelvis at the origin
    world: Tensor  # [N,24,3,3]
    above: Tensor  # [N,24,3,3] world rotations of the parents, of the pelvis that of the axes around


class Skeleton:
    """Bones of N people: `bones` [N,24,3] or [1,24,3] m, each joint's place in its parent's axes at rest."""

    def __init__(self, bones: Tensor) -> None:
        self._bones = bones[..., None]

    def pose(self, rotations: Tensor, around: Tensor | None = None) -> Posed:
        """Local rotations [N,24,3,3] -> joints. `around` [N,3,3]: the first of them is in axes that this turns to
        those of the world (default: they are the world's).

        Each round puts the chain that ends where mine begins before mine, so that 24 joints nine deep take four.
        """
        t = _tables(str(rotations.device), rotations.dtype)
        still = t.eye + 0 * (rotations[:, 0] if around is None else around)[:, None]
        chains = torch.cat([rotations, still if around is None else around[:, None], still], 1)
        for up in t.up:
            chains = chains.index_select(1, up) @ chains
        above = chains.index_select(1, t.parents)
        offsets = (above @ self._bones).reshape(-1, _JOINTS, 3)
        return Posed(t.paths @ offsets, chains[:, :_JOINTS], above)


@dataclass(frozen=True)
class _Tables:
    """Constants of the tree on a device."""

    eye: Tensor  # [3,3]
    up: list[Tensor]  # [26] what 1, 2, 4 and 8 levels above is: a joint, 24 for the axes around, 25 for the world's
    parents: Tensor  # [24]
    paths: Tensor  # [24,24] 1 where the bone to the second joint lies between the pelvis and the first


@cache
def _tables(device: str, dtype: torch.dtype) -> _Tables:
    up, steps = [_PARENTS], 1
    while 2 * steps <= len(SMPL_LEVELS):
        up, steps = [*up, [up[-1][j] for j in up[-1]]], 2 * steps
    paths = SUBTREES.T.copy()
    paths[:, 0] = 0.0
    return _Tables(
        constant(np.eye(3), device, dtype), [constant(row, device) for row in up],
        constant(_PARENTS[:_JOINTS], device), constant(paths, device, dtype),
    )  # fmt: skip


def rotations_from_6d(x: Tensor) -> Tensor:
    """[...,J*6] or [...,6]: first two columns of each rotation, any length -> [...,J,3,3] by Gram-Schmidt."""
    p, q = torch.split(x.reshape(*leading(x, 1), int(x.shape[-1]) // 6, 2, 3), [1, 1], -2)  # [...,J,1,3]
    a = p / p.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    v = q - (a * q).sum(-1, keepdim=True) * a
    b = v / v.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    return torch.cat([a, b, cross(a, b)], -2).transpose(-1, -2)


def leading(x: Tensor, last: int) -> list[int]:
    """The shape without so many last axes, for a reshape; the batch is left open, which costs an export nothing."""
    shape = list(x.shape[: x.ndim - last])
    return shape if len(shape) == 0 or x.numel() == 0 else [-1, *(int(n) for n in shape[1:])]


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product [...,3] in four operations; an exporter writes torch's own as a dozen."""
    first, second, sums = _cross_tables(str(a.device), a.dtype)
    found: Tensor = (a.index_select(-1, first) * b.index_select(-1, second)) @ sums
    return found


@cache
def _cross_tables(device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    first, second = constant([1, 2, 0, 2, 0, 1], device), constant([2, 0, 1, 1, 2, 0], device)
    return first, second, constant(np.concatenate([np.eye(3), -np.eye(3)]), device, dtype)


def to_6d(rotations: Tensor) -> Tensor:
    """[...,J,3,3] -> [...,J*6], column after column."""
    columns = rotations[..., :2].transpose(-1, -2)
    return columns.reshape(*leading(columns, 3), 6 * int(columns.shape[-3]))
