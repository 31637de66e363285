"""Forward kinematics of the 24 joints with its gradient written out; batched, no autograd needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_PARENTS


@dataclass(frozen=True)
class Posed:
    """What the gradient needs of a forward pass."""

    joints: Tensor  # [N,24,3] m, pelvis at the origin
    levels: list[Tensor]  # world rotations by depth in the tree, [N,n,3,3]
    order: list[int]  # where each of the 24 joints is among the levels put together


class Skeleton:
    """Bones of N people: `bones` [N,24,3] or [1,24,3] m, each joint's place in its parent's axes at rest."""

    def __init__(self, bones: Tensor) -> None:
        self._bones = [bones[:, level, :, None] for level in _LEVELS]

    def pose(self, rotations: Tensor) -> Posed:
        """Local rotations [N,24,3,3] -> joints."""
        world, at = [rotations[:, :1]], [torch.zeros_like(rotations[:, :1, :, :1])]
        for depth in range(1, len(_LEVELS)):
            up = world[-1][:, _UP[depth]]
            at.append(at[-1][:, _UP[depth]] + up @ self._bones[depth])
            world.append(up @ rotations[:, _LEVELS[depth]])
        return Posed(torch.cat(at, 1)[:, _BACK, :, 0], world, _BACK)

    def gradient(self, posed: Posed, rotations: Tensor, gradient: Tensor) -> Tensor:
        """Pull d loss / d joints [N,24,3] back to the local rotations [N,24,3,3]."""
        places = [gradient[:, level, :, None] for level in _LEVELS]
        turns = [torch.zeros_like(w) for w in posed.levels]
        out: list[Tensor] = []
        for depth in range(len(_LEVELS) - 1, 0, -1):
            up, local = posed.levels[depth - 1][:, _UP[depth]], rotations[:, _LEVELS[depth]]
            out.append(up.transpose(-1, -2) @ turns[depth])
            to_parent = turns[depth] @ local.transpose(-1, -2) + places[depth] @ self._bones[depth].transpose(-1, -2)
            gather = _GATHER[depth].to(gradient)
            turns[depth - 1] = turns[depth - 1] + (gather @ to_parent.flatten(2)).reshape(turns[depth - 1].shape)
            places[depth - 1] = places[depth - 1] + (gather @ places[depth][..., 0])[..., None]
        out.append(turns[0])
        return torch.cat(out[::-1], 1)[:, _BACK]


def _depths() -> list[int]:
    depth = [0] * len(SMPL_PARENTS)
    for joint in range(1, len(SMPL_PARENTS)):
        depth[joint] = depth[SMPL_PARENTS[joint]] + 1
    return depth


_LEVELS = [[j for j, d in enumerate(_depths()) if d == depth] for depth in range(max(_depths()) + 1)]
# place of each joint's parent in the level above, and who of a level belongs to whom there
_UP = [[_LEVELS[d - 1].index(int(SMPL_PARENTS[j])) for j in level] if d else [] for d, level in enumerate(_LEVELS)]
_GATHER = [
    torch.tensor([[float(up == row) for up in _UP[d]] for row in range(len(_LEVELS[d - 1]))]) if d else torch.zeros(0)
    for d in range(len(_LEVELS))
]
_FLAT = [j for level in _LEVELS for j in level]
_BACK = [_FLAT.index(j) for j in range(len(_FLAT))]
