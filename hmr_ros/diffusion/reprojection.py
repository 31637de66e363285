"""A Gauss-Newton step of the key point term: all joints and the pelvis at once, so that few guided steps are enough."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.diffusion.skeleton import Posed, to_6d
from hmr_ros.diffusion.smoothing import solve_spd

_PARENTS = [int(p) for p in SMPL_PARENTS]
_MIN_DEPTH_M = 0.1
_MAX_TURN_RAD = 0.5
_OUTLIER_DEPTH_M = 0.2  # error beyond which a measured depth loses its pull


@dataclass(frozen=True)
class Seen:
    """Key points of N poses in one camera: x_camera = R x + t (R identity where poses are in camera axes)."""

    rays: Tensor  # [N,K,2] on the plane z = 1
    weights: Tensor  # [N,K] confidence / sigma
    outlier: Tensor  # [N] distance on the plane beyond which a key point loses its pull
    R: Tensor  # [3,3]
    t: Tensor  # [3] m
    depths: Tensor | None = None  # [N,K] m, measured third coordinate; None = no depth anywhere
    depth_weights: Tensor | None = None  # [N,K] 1/sigma, 1/m; 0 = unknown


@cache
def carries(joints: tuple[int, ...], device: str = "cpu") -> Tensor:
    """[24,K] whether turning a joint moves the key point at each of `joints`."""
    with torch.inference_mode(False):  # it is kept, and an export could not use what inference made
        out = torch.zeros(len(_PARENTS), len(joints), device=device)
    for column, joint in enumerate(joints):
        up = _PARENTS[joint]
        while up >= 0:
            out[up, column] = 1.0
            up = _PARENTS[up]
    return out


def keypoint_step(
    posed: Posed, rotations: Tensor, pelvis: Tensor, joints: list[int], views: list[Seen], stiffness: Tensor,
    stiffness_pelvis: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """New 6D pose [N,144] and pelvis [N,3] that lower the robust reprojection error (Eq. 12), and that of measured
    depths where there are some.

    `stiffness` [N,24] (1/rad^2) and `stiffness_pelvis` [N,3] (1/m^2) say how much anything may move; `rotations`
    [N,24,3,3] are the local ones. Solved in the space of the residuals, which are fewer than the unknowns.
    """
    world = torch.cat(posed.levels, 1)[:, posed.order]
    above = torch.cat([torch.eye(3) + 0 * world[:, :1], world[:, _PARENTS[1:]]], 1)
    lever = posed.joints[:, None, joints] - posed.joints[:, :, None]  # [N,24,K,3]
    lever = lever * carries(tuple(joints), str(lever.device))[..., None]
    # a turn w in the parent's axes moves the key point by (above w) x lever
    turn = torch.linalg.cross(above.transpose(2, 3)[:, :, None], lever[..., None, :].expand(-1, -1, -1, 3, -1))
    turn = turn.permute(0, 2, 4, 1, 3).flatten(3)  # [N,K,3,72]
    move = torch.cat([turn, torch.eye(3) + 0 * turn[..., :3]], -1)  # [N,K,3,75]
    at = posed.joints[:, joints] + pelvis[:, None]
    A, r = (torch.cat(parts, 1) for parts in zip(*(_whitened(move, at, view) for view in views), strict=True))
    give = 1.0 / torch.cat([stiffness.repeat_interleave(3, 1), stiffness_pelvis], 1)  # [N,75]
    AG = A * give[:, None]
    K = AG @ A.transpose(1, 2) + torch.eye(int(A.shape[1]))
    u = -(AG.transpose(1, 2) @ solve_spd(K, r[..., None]))[..., 0]
    angle = u[:, :72].reshape(-1, 24, 3)
    size = angle.norm(dim=-1, keepdim=True)
    angle = angle * (_MAX_TURN_RAD / size.clamp_min(_MAX_TURN_RAD))
    return to_6d(_turned(angle) @ rotations), pelvis + u[:, 72:]


def _whitened(move: Tensor, at: Tensor, view: Seen) -> tuple[Tensor, Tensor]:
    """Jacobian [N,R,75] and residuals [N,R] of one view, Geman-McClure weights included; R = 2 K, with depths 3 K."""
    camera = at @ view.R.T + view.t
    z = camera[..., 2:].clamp_min(_MIN_DEPTH_M)
    projected = camera[..., :2] / z
    error = projected - view.rays
    s2 = view.outlier[:, None, None] ** 2
    robust = s2 / (s2 + error.square().sum(-1, keepdim=True))  # square root of the IRLS weight
    w = (view.weights[..., None] * robust)[..., None]
    moved = view.R @ move  # [N,K,3,75]
    J = (moved[..., :2, :] - projected[..., None] * moved[..., 2:, :]) / z[..., None]
    rows, rest = (w * J).flatten(1, 2), (w[..., 0] * error).flatten(1)
    if view.depths is None or view.depth_weights is None:
        return rows, rest
    off = camera[..., 2] - view.depths
    pull = view.depth_weights / (1 + (off / _OUTLIER_DEPTH_M).square())
    return torch.cat([rows, pull[..., None] * moved[..., 2, :]], 1), torch.cat([rest, pull * off], 1)


def _turned(w: Tensor) -> Tensor:
    """Rodrigues' formula [N,24,3] -> [N,24,3,3]."""
    angle = w.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    x, y, z = (w / angle).unbind(-1)
    o = torch.zeros_like(x)
    K = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*w.shape, 3)
    a = angle[..., None]
    return torch.eye(3) + torch.sin(a) * K + (1 - torch.cos(a)) * (K @ K)
