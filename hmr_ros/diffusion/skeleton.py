"""Forward kinematics of the 24 joints with its gradient written out; batched, no autograd needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LEVELS, SMPL_PARENTS


@dataclass(frozen=True)
class Posed:
    """What the gradient needs of a forward pass."""

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

    def gradient(self, posed: Posed, rotations: Tensor, gradient: Tensor) -> Tensor:
        """Pull d loss / d joints [N,24,3] back to the local rotations [N,24,3,3]."""
        places = [gradient[:, level, :, None] for level in SMPL_LEVELS]
        turns = [torch.zeros_like(w) for w in posed.levels]
        out: list[Tensor] = []
        for depth in range(len(SMPL_LEVELS) - 1, 0, -1):
            up, local = posed.levels[depth - 1][:, _UP[depth]], rotations[:, SMPL_LEVELS[depth]]
            out.append(up.transpose(-1, -2) @ turns[depth])
            to_parent = turns[depth] @ local.transpose(-1, -2) + places[depth] @ self._bones[depth].transpose(-1, -2)
            gather = _GATHER[depth].to(gradient)
            turns[depth - 1] = turns[depth - 1] + (gather @ to_parent.flatten(2)).reshape(turns[depth - 1].shape)
            places[depth - 1] = places[depth - 1] + (gather @ places[depth][..., 0])[..., None]
        out.append(turns[0])
        return torch.cat(out[::-1], 1)[:, _BACK]


# place of each joint's parent in the level above, and who of a level belongs to whom there
_UP = [
    [SMPL_LEVELS[d - 1].index(int(SMPL_PARENTS[j])) for j in level] if d else [] for d, level in enumerate(SMPL_LEVELS)
]
_GATHER = [
    torch.tensor([[float(up == row) for up in _UP[d]] for row in range(len(SMPL_LEVELS[d - 1]))])
    if d
    else torch.zeros(0)
    for d in range(len(SMPL_LEVELS))
]
_FLAT = [j for level in SMPL_LEVELS for j in level]
_BACK = [_FLAT.index(j) for j in range(len(_FLAT))]


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
