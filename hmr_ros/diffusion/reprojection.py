"""A Gauss-Newton step of the key point term: all joints and the pelvis at once, so that few guided steps are enough."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import SUBTREES
from hmr_ros.diffusion.constants import constant
from hmr_ros.diffusion.elimination import solved
from hmr_ros.diffusion.skeleton import Posed, to_6d
from hmr_ros.geometry.rotations import skew

_PARENTS = [int(p) for p in SMPL_PARENTS]
_MIN_DEPTH_M = 0.1
_MAX_TURN_RAD = 0.5
_OUTLIER_DEPTH_M = 0.2  # error beyond which a measured depth loses its pull


@dataclass(frozen=True)
class Seen:
    """Key points of N poses in one camera: x_camera = R x + t (None: the poses are in camera axes)."""

    rays: Tensor  # [N,K,2] on the plane z = 1
    weights: Tensor  # [N,K] confidence / sigma
    outlier: Tensor  # [N] distance on the plane beyond which a key point loses its pull
    R: Tensor | None = None  # [3,3]
    t: Tensor | None = None  # [3] m
    depths: Tensor | None = None  # [N,K] m, measured third coordinate; None = no depth anywhere
    depth_weights: Tensor | None = None  # [N,K] 1/sigma, 1/m; 0 = unknown

    def camera(self, at: Tensor) -> Tensor:
        """Points [N,K,3] in the camera's axes."""
        turned = at if self.R is None else at @ self.R.T
        return turned if self.t is None else turned + self.t


def keypoint_step(
    posed: Posed, rotations: Tensor, pelvis: Tensor, joints: list[int], views: list[Seen], stiffness: Tensor,
    stiffness_pelvis: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """New 6D pose [N,144] and pelvis [N,3] that lower the robust reprojection error (Eq. 12), and that of measured
    depths where there are some.

    `stiffness` [N,24] (1/rad^2) and `stiffness_pelvis` [N,3] (1/m^2) say how much anything may move; `rotations`
    [N,24,3,3] are the local ones.
    """
    turned, pelvis = keypoint_turn(posed, rotations, pelvis, joints, views, stiffness, stiffness_pelvis)
    return to_6d(turned), pelvis


def keypoint_turn(
    posed: Posed, rotations: Tensor, pelvis: Tensor, joints: list[int], views: list[Seen], stiffness: Tensor,
    stiffness_pelvis: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The same with the new pose as local rotations [N,24,3,3].

    A turn w of a joint in the world's axes moves a key point by w x lever, so a row m of the camera's derivative gives
    the Jacobian lever x m: no axes of joints appear in it, as stiffness has no axes either.
    """
    t = _tables(tuple(joints), str(rotations.device), rotations.dtype)
    at = posed.joints.index_select(1, t.seen) + pelvis[:, None]
    seen = [_whitened(at, view) for view in views]
    rows, rest = seen[0] if len(seen) == 1 else (torch.cat(parts, 2) for parts in zip(*seen, strict=True))
    K, J, R = len(joints), len(t.turners), int(rows.shape[2])
    lever = (t.levers @ posed.joints).reshape(-1, K, J, 3)
    times = (rows.reshape(-1, K, 3 * R) @ t.crosses(R)).reshape(-1, K, 3, 3 * R)  # lever -> lever x m
    turns = (lever @ times).reshape(-1, K, J, R, 3).transpose(2, 3)
    A = torch.cat([turns.reshape(-1, K, R, 3 * J), rows], -1).reshape(-1, K * R, 3 * J + 3)
    give = torch.cat([stiffness @ t.of_turners, stiffness_pelvis], 1).rsqrt()  # [N,3J+3]
    u = give * _least(A * give[:, None], rest.reshape(-1, K * R, 1), t.groups)
    turn, move = torch.split(u, [3 * J, 3], 1)
    angle = posed.above.transpose(2, 3) @ (t.places @ turn.reshape(-1, J, 3))[..., None]
    return _turned(angle.reshape(-1, len(_PARENTS), 3)) @ rotations, pelvis - move


def _least(A: Tensor, r: Tensor, groups: list[int]) -> Tensor:
    """x [N,U] that minimises |A x - r|^2 + |x|^2, `A` [N,R,U], `r` [N,R,1].

    A library solves in the space of the residuals, where they are fewer than the unknowns.
    """
    T = A.transpose(1, 2)
    if torch.onnx.is_in_onnx_export() or A.is_cuda:  # nor can a solver be part of a CUDA graph
        eye = torch.eye(int(A.shape[2]), dtype=A.dtype, device=A.device)
        return solved(T @ A + eye, T @ r, groups)[..., 0]
    K = A @ T + torch.eye(int(A.shape[1]), dtype=A.dtype)
    return (T @ torch.cholesky_solve(r, torch.linalg.cholesky(K)))[..., 0]


def _whitened(at: Tensor, view: Seen) -> tuple[Tensor, Tensor]:
    """Derivative [N,K,R,3] of the residuals [N,K,R] of one view by its key points at `at` [N,K,3], Geman-McClure
    weights included; R = 2, with depths 3."""
    camera = view.camera(at)
    z = camera[..., 2:].clamp_min(_MIN_DEPTH_M)
    projected = camera[..., :2] / z
    error = projected - view.rays
    s2 = view.outlier[:, None, None] ** 2
    w = view.weights[..., None] * (s2 / (s2 + (error * error).sum(-1, keepdim=True)))  # square root of the IRLS weight
    residuals, scale = [w * error], [w / z, w / z]
    if view.depths is not None and view.depth_weights is not None:
        off = camera[..., 2:] - view.depths[..., None]
        ratio = off / _OUTLIER_DEPTH_M
        pull = view.depth_weights[..., None] / (1 + ratio * ratio)
        residuals, scale = [*residuals, pull * off], [*scale, pull]
    plane, space = _projections(len(scale), str(at.device), at.dtype)
    rows = (projected @ plane + space).reshape(-1, int(at.shape[1]), len(scale), 3) * torch.cat(scale, -1)[..., None]
    return rows if view.R is None else rows @ view.R, torch.cat(residuals, -1)


def _turned(w: Tensor) -> Tensor:
    """Rodrigues' formula [N,24,3] -> [N,24,3,3], turns cut off at the largest that one step may take."""
    size = w.norm(dim=-1, keepdim=True)
    cross, eye = _skews(str(w.device), w.dtype)
    K = ((w / size.clamp_min(1e-8)) @ cross).reshape(-1, int(w.shape[1]), 3, 3)
    angle = size.clamp_max(_MAX_TURN_RAD)[..., None]
    return eye + torch.sin(angle) * K + (1 - torch.cos(angle)) * (K @ K)


@dataclass(frozen=True)
class _Tables:
    """Which joints move which of K key points, as constants on a device."""

    seen: Tensor  # [K] joints that key points lie on
    turners: list[int]  # J joints that move any, the deepest first
    groups: list[int]  # how many of them are equally deep, and 1 for the pelvis' place
    levers: Tensor  # [K*J,24] joints -> from each turner to each key point that it moves, zero for the others
    of_turners: Tensor  # [24,3J] of each joint's number three for each turner
    places: Tensor  # [24,J] of each turner its joint, against the step

    def crosses(self, rows: int) -> Tensor:
        """[3R,9R] that makes the matrix [3,3R] of lever -> lever x m of R rows m [R,3]."""
        return _crosses(rows, str(self.levers.device), self.levers.dtype)


@cache
def _tables(joints: tuple[int, ...], device: str, dtype: torch.dtype) -> _Tables:
    moves = (SUBTREES - np.eye(len(_PARENTS)))[:, list(joints)]  # turning the first moves the second
    levels = [[j for j in level if moves[j].any()] for level in SMPL_LEVELS[::-1]]
    turners = [j for level in levels for j in level]
    ends, starts = np.eye(len(moves))[list(joints)][:, None], np.eye(len(moves))[turners]
    levers = moves[turners].T[..., None] * (ends - starts)  # [K,J,24]
    places = np.eye(len(moves))[:, turners]
    return _Tables(
        constant(joints, device), turners, [*(len(level) for level in levels if level), 1],
        constant(levers.reshape(-1, len(moves)), device, dtype),
        constant(np.repeat(places, 3, axis=1), device, dtype), constant(-places, device, dtype),
    )  # fmt: skip


@cache
def _crosses(rows: int, device: str, dtype: torch.dtype) -> Tensor:
    one = np.moveaxis(skew(np.eye(3)), -1, 0)  # of m [3]: which lever [3] gives which product [3]
    every = np.einsum("rs,mlx->rmlsx", np.eye(rows), one)
    return constant(every.reshape(3 * rows, 9 * rows), device, dtype)


@cache
def _projections(rows: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What x/z, y/z and, with three rows, z change by with the point, times z: linear in the projection [2] -> [3R]."""
    plane = np.zeros((2, rows, 3))
    plane[[0, 1], [0, 1], 2] = -1.0
    return constant(plane.reshape(2, -1), device, dtype), constant(np.eye(3)[:rows].ravel(), device, dtype)


@cache
def _skews(device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """[3,9] that makes the matrix of w x of w, and the identity."""
    return constant(skew(np.eye(3)).reshape(3, 9), device, dtype), constant(np.eye(3), device, dtype)
