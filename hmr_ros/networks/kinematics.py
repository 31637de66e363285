"""Points of an SMPL-format body posed in torch: batched, differentiable, on any device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.joints import SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.points import BodyPoints


class PosedPoints(nn.Module):
    """`BodyPoints` as a module without parameters."""

    template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    weights: Tensor
    J_template: Tensor
    J_shapedirs: Tensor

    def __init__(self, points: BodyPoints) -> None:
        super().__init__()
        posedirs = np.zeros((0, 3, 207)) if points.posedirs is None else points.posedirs
        for name in ("template", "shapedirs", "weights", "J_template", "J_shapedirs"):
            self.register_buffer(name, torch.as_tensor(getattr(points, name), dtype=torch.float32))
        self.register_buffer("posedirs", torch.as_tensor(posedirs, dtype=torch.float32))

    def forward(
        self, rotations: Tensor, betas: Tensor, pose_offsets: Tensor | None = None, rows: int | None = None
    ) -> Tensor:
        """Local rotations [B,24,3,3], betas [B,10] -> points [B,P,3] m with the pelvis at the origin.

        `pose_offsets` [B,207] are the entries of (R - I) for pose correctives where the body has them (default: from
        `rotations`); `rows` = only the first so many points.
        """
        template, shapedirs, weights = self.template[:rows], self.shapedirs[:rows], self.weights[:rows]
        points = template + torch.einsum("pck,bk->bpc", shapedirs, betas)
        if len(self.posedirs):
            offsets = pose_corrections(rotations) if pose_offsets is None else pose_offsets
            points = points + torch.einsum("pck,bk->bpc", self.posedirs[:rows], offsets)
        joints = self.J_template + torch.einsum("jck,bk->bjc", self.J_shapedirs, betas)
        world, placed = kinematics(rotations, joints)
        shift = placed - (world @ joints[..., None])[..., 0] - placed[:, :1]
        moved = torch.cat([world.flatten(2), shift], -1)  # [B,24,12]
        skin = weights @ moved  # [B,P,12]
        return (skin[..., :9].reshape(*skin.shape[:-1], 3, 3) @ points[..., None])[..., 0] + skin[..., 9:]


def kinematics(rotations: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Local rotations [B,24,3,3], rest joints [B,24,3] -> world rotations [B,24,3,3], placed joints [B,24,3]."""
    world: dict[int, Tensor] = {0: rotations[:, 0]}
    placed: dict[int, Tensor] = {0: joints[:, 0]}
    for level in SMPL_LEVELS[1:]:
        up = [int(SMPL_PARENTS[j]) for j in level]
        R = torch.stack([world[p] for p in up], 1)
        at = torch.stack([placed[p] for p in up], 1)
        turned = R @ rotations[:, level]
        moved = at + (R @ (joints[:, level] - joints[:, up])[..., None])[..., 0]
        world |= {j: turned[:, i] for i, j in enumerate(level)}
        placed |= {j: moved[:, i] for i, j in enumerate(level)}
    count = len(SMPL_PARENTS)
    return torch.stack([world[j] for j in range(count)], 1), torch.stack([placed[j] for j in range(count)], 1)


def rooted_joints(rotations: Tensor, rest: Tensor) -> Tensor:
    """Local rotations [B,24,3,3], rest joints [B,24,3] m -> joints [B,24,3] m, pelvis at the origin."""
    placed = kinematics(rotations, rest)[1]
    return placed - placed[:, :1]


def pose_corrections(rotations: Tensor) -> Tensor:
    """[B,24,3,3] -> [B,207], what SMPL's pose correctives are linear in."""
    return (rotations[:, 1:] - torch.eye(3, device=rotations.device)).flatten(1)


def matrix_from_axis_angle(v: Tensor) -> Tensor:
    """Rodrigues' formula [...,3] rad -> [...,3,3]; smooth at zero."""
    angle2 = (v * v).sum(-1)[..., None, None]
    angle = torch.sqrt(angle2 + 1e-12)
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    K = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape, 3)
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    return eye + torch.sinc(angle / torch.pi) * K + 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2 * (K @ K)
