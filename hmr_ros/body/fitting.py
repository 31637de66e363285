"""From predicted points to SMPL parameters: closed-form start, then a few Gauss-Newton steps; batched over people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.articulated import ArticulatedPoints, Posed
from hmr_ros.body.joints import SMPL_JOINTS, SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS
from hmr_ros.body.normal_equations import PELVIS, POSE, SHAPE, UNKNOWNS, Information, NormalEquations, solved
from hmr_ros.body.points import BodyPoints
from hmr_ros.geometry.rotations import (
    axis_angle_from_quaternion,
    davenport,
    matrix_from_quaternion,
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_product,
)
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
        self._articulated = ArticulatedPoints(points)
        self._parts = _parts(points)
        spread = np.array([_PRIOR_RAD.get(name, _DEFAULT_PRIOR_RAD) for name in SMPL_JOINTS])
        spread[0] = 1e3
        self._prior = np.repeat(1.0 / spread**2, 3)

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
        turns = self._start(seen, betas) if start is None else quaternion_from_matrix(start)
        rest = None if near is None else quaternion_from_matrix(near)
        posed = self._articulated.posed(matrix_from_quaternion(turns), betas)
        pelvis = _placed(seen, others, posed.points)
        equations = NormalEquations(self._articulated, len(betas), seen.leans.bones if seen.leans else None)
        normal = None
        for _ in range(iterations):
            deviation = _deviation(turns, rest, posed.world)
            normal, step = self._step(equations, seen, others, deviation, betas, pelvis, posed)
            turns = _turned(turns, posed.world, step[:, :POSE].reshape(-1, NUM_JOINTS, 3))
            betas = np.clip(betas + step[:, SHAPE], -_MAX_BETA, _MAX_BETA)
            pelvis = pelvis + step[:, PELVIS]
            posed = self._articulated.posed(matrix_from_quaternion(turns), betas)
        return Fitted(matrix_from_quaternion(turns), betas, pelvis, posed.points.swapaxes(1, 2), normal)

    def _start(self, seen: Observed, betas: Floats) -> Floats:
        """Local rotations [N,24,4] wxyz: every bone's points laid on the seen ones (Kabsch), parents first; what few
        points leave open is taken from the parent."""
        p, A = self._points, self._parts
        source = (p.template - p.J_template[0]) + _shape(p.shapedirs - p.J_shapedirs[0], betas)
        both = (seen.points[..., :, None] * source[..., None, :]).reshape(*source.shape[:2], 9)
        sums = A @ np.concatenate([seen.points, source, both], -1)  # [N,24,15]
        target, source, mass = sums[..., :3], sums[..., 3:6], A.sum(1)[:, None]
        outer = (target / mass)[..., :, None] * source[..., None, :]
        covariance = sums[..., 6:].reshape(outer.shape) - outer
        share = 0.05 * np.sqrt(np.square(covariance).sum((-2, -1), keepdims=True))
        covariance[:, 0] = covariance[:, [0, 3, 6]].sum(1)  # the trunk
        agreement = davenport(covariance)
        world = np.empty((len(betas), NUM_JOINTS, 4))
        world[:, 0] = np.linalg.eigh(agreement[:, 0])[1][..., -1]
        for level in SMPL_LEVELS[1:]:
            # as a matrix R(q) has the agreement 4 q q^T - 1
            q = world[:, SMPL_PARENTS[level]]
            held = agreement[:, level] + 4 * share[:, level] * q[..., :, None] * q[..., None, :]
            world[:, level] = np.linalg.eigh(held)[1][..., -1]
        local = world.copy()
        local[:, 1:] = quaternion_product(_back(world[:, SMPL_PARENTS[1:]]), world[:, 1:])
        return local

    def _step(
        self, equations: NormalEquations, seen: Observed, others: Sequence[OtherCamera], deviation: Floats,
        betas: Floats, pelvis: Floats, at: Posed,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Information [N,85,85] about the turns of the joints in camera axes, betas and pelvis, without what was known
        of the betas; and the step [N,85] of Gauss and Newton."""
        motion = self._articulated.shape_motion(at.world)
        equations.set_points(at.arms, motion, _information(seen, others, at.points, pelvis))
        if seen.leans:
            equations.set_bones(at.arms, motion, *_leaning(seen.leans, at.points))
        normal, right = equations.product()
        diagonal = np.arange(UNKNOWNS)
        normal[:, diagonal[:POSE], diagonal[:POSE]] += self._prior
        normal[:, diagonal[PELVIS], diagonal[PELVIS]] += 1e-4
        right[:, :POSE] -= self._prior * deviation.reshape(len(right), -1)
        known = 1.0 / seen.sigma_betas[:, None] ** 2
        right[:, SHAPE] += known * (seen.betas - betas)
        whole = normal.copy()
        whole[:, diagonal[SHAPE], diagonal[SHAPE]] += known
        return normal, solved(whole, right)


def _information(seen: Observed, others: Sequence[OtherCamera], points: Floats, pelvis: Floats) -> Information:
    """About `points` [N,3,P] m with the pelvis at `pelvis` [N,3] m."""
    xyz = points + pelvis[..., None]
    first = OtherCamera(seen.rays, seen.sigma_rays, np.eye(3), np.zeros(3))
    rows, rest = zip(*(_ray_rows(camera, xyz) for camera in (first, *others)), strict=True)
    rows, rest = np.concatenate(rows, 1), np.concatenate(rest, 1)  # [N,2C,3,P] 1/m and [N,2C,P]
    space = (rows[:, :, :, None] * rows[:, :, None]).sum(1)
    pull_space = (rows * rest[:, :, None]).sum(1)
    if seen.depths is not None and seen.sigma_depths is not None:
        inverse = seen.sigma_depths**-2
        space[:, 2, 2] += inverse
        pull_space[:, 2] += inverse * (seen.depths - xyz[:, 2])
    inverse = seen.sigma[:, None] ** -2
    matrix = space.copy()
    matrix[:, _XYZ, _XYZ] += inverse
    return Information(matrix, pull_space + inverse * (seen.points.swapaxes(1, 2) - points), space, pull_space)


def _ray_rows(camera: OtherCamera, xyz: Floats) -> tuple[Floats, Floats]:
    """How the rays of one camera change with the points at `xyz` [N,3,P] m, [N,2,3,P] 1/m, and how far off they are
    [N,2,P], in standard deviations."""
    there = camera.R @ xyz + camera.t[:, None]
    depth = np.maximum(there[:, 2], _MIN_DEPTH_M)
    plane = there[:, :2] / depth[:, None]
    inverse = 1.0 / camera.sigma_rays[:, None]
    gain = inverse / depth[:, None]
    # d(x/z) = (dx - (x/z) dz) / z
    rows = (camera.R[:2, :, None] - plane[:, :, None] * camera.R[2][:, None]) * gain[:, :, None]
    return rows, (camera.rays.swapaxes(1, 2) - plane) * inverse


def _leaning(leans: Leans, points: Floats) -> tuple[Floats, Floats]:
    """Weight [N,M] 1/m of the bones' depths and how far off they are [N,M], for `points` [N,3,P] m."""
    first, second = leans.bones.T
    along = points[..., second] - points[..., first]
    weight = 1.0 / (np.sqrt((along * along).sum(1)) * leans.sigma)  # the length is taken as it stands
    return weight, leans.sine / leans.sigma - along[:, 2] * weight


def _deviation(turns: Floats, rest: Floats | None, world: Floats) -> Floats:
    """How far [N,24,3] rad each local rotation is from its prior's mean, as a turn in camera axes."""
    away = turns if rest is None else quaternion_product(turns, _back(rest))
    turned = np.zeros((*away.shape[:-1], 3))
    local = axis_angle_from_quaternion(away[:, 1:])
    turned[:, 1:] = (world[:, SMPL_PARENTS[1:]] @ local[..., None])[..., 0]
    return turned


def _turned(turns: Floats, world: Floats, by: Floats) -> Floats:
    """Local rotations [N,24,4] wxyz after turns `by` [N,24,3] rad in camera axes of each joint and its subtree."""
    angle = np.sqrt((by * by).sum(-1, keepdims=True))
    by = by * np.minimum(1.0, _MAX_STEP_RAD / np.maximum(angle, 1e-9))
    by[:, 1:] = (by[:, 1:, None] @ world[:, SMPL_PARENTS[1:]])[:, :, 0]  # in the axes of the parent
    return quaternion_product(quaternion_from_axis_angle(by), turns)


def _back(turns: Floats) -> Floats:
    """The inverse of unit quaternions [...,4] wxyz."""
    return turns * _INVERSE


def _placed(seen: Observed, others: Sequence[OtherCamera], points: Floats) -> Floats:
    """Where the pelvis [N,3] m is to start, for `points` [N,3,P] m."""
    rows = points.swapaxes(1, 2)
    return _moved_to_depths(place(rows, seen.rays, seen.sigma_rays, others), rows, seen)


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


_XYZ = np.arange(3)
_INVERSE = np.array([1.0, -1.0, -1.0, -1.0])
