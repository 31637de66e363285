"""From predicted points to SMPL parameters: closed-form start, then a few Gauss-Newton steps; batched over people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import SMPL_JOINTS, SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, forward_kinematics
from hmr_ros.body.points import BodyPoints, subtrees
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle, nearest_rotation, skew
from hmr_ros.types import Floats, Ints

ITERATIONS = 3
_MIN_DEPTH_M = 0.2
_MAX_BETA = 3.0
_MAX_STEP_RAD = 0.7
# Standard deviation [rad] of local rotations: only what the points cannot see (twists, hands) feels it.
_PRIOR_RAD = {
    "spine1": 0.35, "spine2": 0.35, "spine3": 0.35, "neck": 0.5, "head": 0.5, "left_collar": 0.3, "right_collar": 0.3,
    "left_hand": 0.2, "right_hand": 0.2, "left_foot": 0.3, "right_foot": 0.3, "left_wrist": 0.6, "right_wrist": 0.6,
    "left_ankle": 0.6, "right_ankle": 0.6,
}  # fmt: skip
_DEFAULT_PRIOR_RAD = 2.0
_POSE = NUM_JOINTS * 3
_UNKNOWNS = _POSE + NUM_BETAS + 3


@dataclass(frozen=True)
class Observed:
    """What N people are fitted to, in the axes of one camera each."""

    points: Floats  # [N,P,3] m, pelvis at the origin
    sigma: Floats  # [N,P] m, one standard deviation an axis
    rays: Floats  # [N,P,2] on the plane z = 1
    sigma_rays: Floats  # [N,P] standard deviation of the rays; inf = no 2D evidence
    betas: Floats  # [N,10] expected shape
    sigma_betas: Floats  # [N] standard deviation of each beta around it
    depths: Floats | None = None  # [N,P] m, third coordinate of the points from the camera; None = no depth known
    sigma_depths: Floats | None = None  # [N,P] m; inf = unknown
    leans: Leans | None = None  # None = nothing known of directions


@dataclass(frozen=True)
class Leans:
    """How bones lean away from the camera: a direction, whatever the bone's length."""

    bones: Ints  # [M,2] indices of the points at both ends
    sine: Floats  # [N,M] depth of the second point beyond the first, in lengths of the bone
    sigma: Floats  # [N,M] or [M], one standard deviation of the sine; inf = unknown


@dataclass(frozen=True)
class OtherCamera:
    """The same N people as another camera sees them; x_other = R x + t from the axes of `Observed`."""

    rays: Floats  # [N,P,2] on its plane z = 1
    sigma_rays: Floats  # [N,P] standard deviation of the rays; inf = no 2D evidence
    R: Floats  # [3,3]
    t: Floats  # [3] m


@dataclass(frozen=True)
class Fitted:
    """SMPL parameters of N people in the axes of `Observed`."""

    rotations: Floats  # [N,24,3,3] local, the first takes the body to the camera
    betas: Floats  # [N,10]
    pelvis: Floats  # [N,3] m from the camera
    points: Floats  # [N,P,3] m, pelvis at the origin
    # [N,85,85] information about turns of the joints in camera axes (72, rad), betas (10) and pelvis (3, m), as of the
    # last step, without what was known of the betas before; None without steps
    normal: Floats | None = None


class PointFitter:
    """Fits one choice of points; everything that depends on the body alone is prepared once."""

    def __init__(self, points: BodyPoints) -> None:
        self._points = points
        self._below = subtrees()
        self._parts = _parts(points)
        spread = np.array([_PRIOR_RAD.get(name, _DEFAULT_PRIOR_RAD) for name in SMPL_JOINTS])
        spread[0] = 1e3
        self._prior = 1.0 / spread**2

    def __call__(
        self, seen: Observed, iterations: int = ITERATIONS, near: Floats | None = None, start: Floats | None = None,
        others: Sequence[OtherCamera] = (),
    ) -> Fitted:  # fmt: skip
        """Most probable parameters under Gaussian errors of the given sizes.

        `near` [N,24,3,3]: local rotations to start from and to stay close to, instead of the T-pose; `start`
        [N,24,3,3]: to start from alone; `others`: cameras that see the same people from elsewhere.
        """
        betas = seen.betas.copy()
        start = near if start is None else start
        rotations = self._start(seen, betas) if start is None else start
        placed = self._pose(rotations, betas)
        pelvis = _moved_to_depths(place(placed.points, seen.rays, seen.sigma_rays, others), placed.points, seen)
        normal = None
        for _ in range(iterations):
            away = _deviation(rotations, near, placed.world)
            step, normal = self._step(seen, others, away, betas, pelvis, placed)
            turn = step[:, :_POSE].reshape(-1, NUM_JOINTS, 3)
            angle = np.linalg.norm(turn, axis=-1, keepdims=True)
            turn = turn * np.minimum(1.0, _MAX_STEP_RAD / np.maximum(angle, 1e-9))
            rotations = _apply(rotations, placed.world, turn)
            betas = np.clip(betas + step[:, _POSE : _POSE + NUM_BETAS], -_MAX_BETA, _MAX_BETA)
            pelvis = pelvis + step[:, _POSE + NUM_BETAS :]
            placed = self._pose(rotations, betas)
        return Fitted(rotations, betas, pelvis, placed.points, normal)

    def _start(self, seen: Observed, betas: Floats) -> Floats:
        """Local rotations [N,24,3,3]: every bone's points laid on the seen ones (Kabsch), parents first; what few
        points leave open is taken from the parent."""
        source, joints = self._rest(betas)
        source = source - joints[:, :1]
        A, B = self._parts, source
        mass = A.sum(1)[:, None]
        mean_s, mean_t = A @ B / mass, A @ seen.points / mass  # [N,24,3]
        covariance = np.einsum("jp,npa,npb->njab", A, seen.points, B, optimize=True)
        covariance -= mass[..., None] * mean_t[..., :, None] * mean_s[..., None, :]
        world = np.empty((len(betas), NUM_JOINTS, 3, 3))
        trunk = covariance[:, [0, 3, 6]].sum(1)
        world[:, 0] = nearest_rotation(trunk)
        for level in SMPL_LEVELS[1:]:
            size = np.linalg.norm(covariance[:, level], axis=(-2, -1), keepdims=True)
            world[:, level] = nearest_rotation(covariance[:, level] + 0.05 * size * world[:, SMPL_PARENTS[level]])
        local = world.copy()
        local[:, 1:] = np.swapaxes(world[:, SMPL_PARENTS[1:]], -1, -2) @ world[:, 1:]
        return local

    def _rest(self, betas: Floats) -> tuple[Floats, Floats]:
        p = self._points
        return p.template + _shape(p.shapedirs, betas), p.J_template + _shape(p.J_shapedirs, betas)

    def _pose(self, rotations: Floats, betas: Floats) -> _Posed:
        points, joints = self._rest(betas)
        if self._points.posedirs is not None:
            offsets = (rotations[:, 1:] - np.eye(3)).reshape(len(betas), -1)
            points = points + np.einsum("pck,nk->npc", self._points.posedirs, offsets, optimize=True)
        world, placed = forward_kinematics(rotations, joints)
        placed = placed - placed[:, :1]
        shift = placed - (world @ joints[..., None])[..., 0]
        on_bones = points[:, None] @ np.swapaxes(world, -1, -2) + shift[:, :, None]  # [N,24,P,3]
        weighted = on_bones * self._points.weights.T[..., None]
        return _Posed(world, placed, weighted, weighted.sum(1))

    def _step(
        self, seen: Observed, others: Sequence[OtherCamera], deviation: Floats, betas: Floats, pelvis: Floats,
        at: _Posed,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Solution [N,85] of the normal equations: turns of the joints in camera axes, betas, pelvis; and
        `Fitted.normal`."""
        J = self._jacobian(at)  # [N,P,3,82]
        N, P = J.shape[:2]
        inverse = 1.0 / seen.sigma[..., None]
        per_point = (5 if seen.depths is None else 6) + 2 * len(others)
        A = np.zeros((N, P, per_point, _UNKNOWNS))
        r = np.zeros((N, P, per_point))
        A[:, :, :3, :-3] = J * inverse[..., None]
        r[:, :, :3] = (seen.points - at.points) * inverse
        xyz = at.points + pelvis[:, None]
        _add_rays(A[:, :, 3:5], r[:, :, 3:5], J, np.eye(3), xyz, seen.rays, seen.sigma_rays)
        for k, other in enumerate(others):
            its = slice(5 + 2 * k, 7 + 2 * k)
            there = xyz @ other.R.T + other.t
            _add_rays(A[:, :, its], r[:, :, its], other.R @ J, other.R, there, other.rays, other.sigma_rays)
        if seen.depths is not None and seen.sigma_depths is not None:
            A[:, :, -1, :-3] = J[:, :, 2] / seen.sigma_depths[..., None]
            A[:, :, -1, -1] = 1.0 / seen.sigma_depths
            r[:, :, -1] = (seen.depths - xyz[..., 2]) / seen.sigma_depths
        rows = A.reshape(N, P * per_point, _UNKNOWNS)
        normal = np.swapaxes(rows, 1, 2) @ rows
        right = (np.swapaxes(rows, 1, 2) @ r.reshape(N, P * per_point, 1))[..., 0]
        if seen.leans:
            _add_leans(normal, right, J, at.points, seen.leans)
        self._add_priors(normal, right, seen, deviation, betas)
        step = np.linalg.solve(normal, right[..., None])[..., 0]
        shape = np.arange(_POSE, _POSE + NUM_BETAS)
        normal[:, shape, shape] -= seen.sigma_betas[:, None] ** -2
        return step, normal

    def _add_priors(self, normal: Floats, right: Floats, seen: Observed, deviation: Floats, betas: Floats) -> None:
        diagonal = np.zeros((len(normal), _UNKNOWNS))
        weight = np.repeat(self._prior, 3)
        diagonal[:, :_POSE] = weight
        right[:, :_POSE] -= weight * deviation.reshape(len(normal), -1)
        shape = slice(_POSE, _POSE + NUM_BETAS)
        diagonal[:, shape] = 1.0 / seen.sigma_betas[:, None] ** 2
        right[:, shape] += diagonal[:, shape] * (seen.betas - betas)
        diagonal[:, -3:] = 1e-4
        normal[:, np.arange(_UNKNOWNS), np.arange(_UNKNOWNS)] += diagonal

    def _jacobian(self, at: _Posed) -> Floats:
        """Motion [N,P,3,82] of the points for turns of the joints (72, camera axes, whole subtree) and betas (10)."""
        N, P = at.points.shape[:2]
        sums = np.tensordot(at.weighted, self._below, axes=(1, 1))  # [N,P,3,24]
        mass = self._points.weights @ self._below.T  # [P,24]
        arm = sums.transpose(0, 1, 3, 2) - mass[..., None] * at.joints[:, None]  # [N,P,24,3]
        turns = -skew(arm).transpose(0, 1, 3, 2, 4).reshape(N, P, 3, _POSE)
        return np.concatenate([turns, self._shape_jacobian(at.world)], -1)

    def _shape_jacobian(self, world: Floats) -> Floats:
        p = self._points
        moved = np.zeros((len(world), NUM_JOINTS, 3, NUM_BETAS))
        for level in SMPL_LEVELS[1:]:
            up = SMPL_PARENTS[level]
            moved[:, level] = moved[:, up] + world[:, up] @ (p.J_shapedirs[level] - p.J_shapedirs[up])
        shift = moved - world @ p.J_shapedirs
        blended = np.tensordot(p.weights, world, axes=(1, 1)).transpose(1, 0, 2, 3)  # [N,P,3,3]
        return np.asarray(blended @ p.shapedirs + np.tensordot(p.weights, shift, axes=(1, 1)).transpose(1, 0, 2, 3))


@dataclass(frozen=True)
class _Posed:
    world: Floats  # [N,24,3,3]
    joints: Floats  # [N,24,3] pelvis at the origin
    weighted: Floats  # [N,24,P,3] each point as its bones carry it, times the weight
    points: Floats  # [N,P,3]


def _add_rays(A: Floats, r: Floats, J: Floats, R: Floats, xyz: Floats, rays: Floats, sigma: Floats) -> None:
    """Fill the rows [N,P,2,85] and residuals [N,P,2] of one camera, in whose axes the points are at `xyz` [N,P,3] m and
    move by `J` [N,P,3,82]; its axes are the fit's turned by `R`."""
    depth = np.maximum(xyz[..., 2:], _MIN_DEPTH_M)
    plane = xyz[..., :2] / depth
    gain = 1.0 / (depth * sigma[..., None])
    for c in range(2):  # d(x/z) = (dx - (x/z) dz) / z
        A[:, :, c, :-3] = (J[:, :, c] - plane[..., c, None] * J[:, :, 2]) * gain
        A[:, :, c, -3:] = (R[c] - plane[..., c, None] * R[2]) * gain
    r[:] = (rays - plane) / sigma[..., None]


def _add_leans(normal: Floats, right: Floats, J: Floats, points: Floats, leans: Leans) -> None:
    """Add their rows to the normal equations [N,85,85] and [N,85]; `J` [N,P,3,82] moves `points` [N,P,3] m."""
    first, second = leans.bones.T
    along = points[:, second] - points[:, first]
    weight = 1.0 / (np.linalg.norm(along, axis=-1) * leans.sigma)  # 1/m: the length is taken as it stands
    rows = (J[:, second, 2] - J[:, first, 2]) * weight[..., None]
    rest = leans.sine / leans.sigma - along[..., 2] * weight
    count = rows.shape[-1]
    normal[:, :count, :count] += np.swapaxes(rows, 1, 2) @ rows
    right[:, :count] += (rest[:, None] @ rows)[:, 0]


def place(points: Floats, rays: Floats, sigma: Floats, others: Sequence[OtherCamera] = ()) -> Floats:
    """Position [N,3] that brings the projections of `points` [N,P,3] + position closest to `rays` [N,P,2] and to those
    of `others`; two rounds of linear least squares, the second weighted by the depth found."""
    cameras = [OtherCamera(rays, sigma, np.eye(3), np.zeros(3)), *others]
    turned = [points @ c.R.T + c.t for c in cameras]  # in each camera's axes, without the position
    rows = [c.R[:2] - c.rays[..., None] * c.R[2] for c in cameras]  # [N,P,2,3]
    b = [c.rays * p[..., 2:] - p[..., :2] for c, p in zip(cameras, turned, strict=True)]
    position = np.zeros((len(points), 3))
    weights = [1.0 / c.sigma_rays for c in cameras]
    for _ in range(2):
        normal: Floats = np.zeros((len(points), 3, 3)) + 1e-9 * np.eye(3)
        right: Floats = np.zeros((len(points), 3))
        for A, rhs, weight in zip(rows, b, weights, strict=True):
            weighted = A * weight[..., None, None]
            normal += np.einsum("npak,npal->nkl", weighted, weighted)
            right += np.einsum("npak,npa->nk", weighted, rhs * weight[..., None])
        position = np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])
        depths = [p[..., 2] + (position @ c.R[2])[:, None] for c, p in zip(cameras, turned, strict=True)]
        weights = [1.0 / (c.sigma_rays * np.maximum(z, _MIN_DEPTH_M)) for c, z in zip(cameras, depths, strict=True)]
    return position


def _moved_to_depths(position: Floats, points: Floats, seen: Observed) -> Floats:
    """`position` [N,3] m moved along its own ray to where the known depths are."""
    if seen.depths is None or seen.sigma_depths is None:
        return position
    weight = seen.sigma_depths**-2
    total = weight.sum(1)
    z = (weight * (seen.depths - points[..., 2])).sum(1) / np.maximum(total, 1e-12)
    known = (total > 0) & (z > _MIN_DEPTH_M) & (position[:, 2] > _MIN_DEPTH_M)
    scale = np.where(known, z / np.where(known, position[:, 2], 1.0), 1.0)
    return position * scale[:, None]


def _parts(points: BodyPoints) -> Floats:
    """[24,P] how much each point tells of each bone: its skin weight, and joints speak for both bones they join."""
    parts = points.weights.T.copy()
    single = np.flatnonzero(parts.max(0) == 1.0)
    for p in single:
        joint = int(parts[:, p].argmax())
        at = points.J_template[joint]
        if joint and np.allclose(points.template[p], at):
            parts[SMPL_PARENTS[joint], p] = 1.0
    return parts + 1e-9


def _shape(directions: Floats, betas: Floats) -> Floats:
    """Shape directions [P,3,10] times betas [N,10] -> [N,P,3]."""
    P = len(directions)
    return np.asarray((betas @ directions.reshape(P * 3, NUM_BETAS).T).reshape(-1, P, 3))


def _deviation(rotations: Floats, near: Floats | None, world: Floats) -> Floats:
    """How far [N,24,3] rad each local rotation is from its prior's mean, as a turn in camera axes."""
    away = rotations if near is None else rotations @ np.swapaxes(near, -1, -2)
    local = axis_angle_from_matrix(away)
    turned = np.zeros_like(local)
    turned[:, 1:] = (world[:, SMPL_PARENTS[1:]] @ local[:, 1:, :, None])[..., 0]
    return turned


def _apply(rotations: Floats, world: Floats, turn: Floats) -> Floats:
    """Turn each joint [N,24,3] in camera axes, its subtree with it; returns new local rotations."""
    parent = np.concatenate([np.broadcast_to(np.eye(3), world[:, :1].shape), world[:, SMPL_PARENTS[1:]]], 1)
    delta = matrix_from_axis_angle(turn)
    return np.asarray(np.swapaxes(parent, -1, -2) @ delta @ parent @ rotations)
