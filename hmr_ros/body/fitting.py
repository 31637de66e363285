"""From predicted points to SMPL parameters: closed-form start, then a few Gauss-Newton steps; batched over people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.articulated import ArticulatedPoints, Posed
from hmr_ros.body.joints import SMPL, SMPL_JOINTS, SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS
from hmr_ros.body.normal_equations import PELVIS, POSE, SHAPE, UNKNOWNS, Information, NormalEquations, solved
from hmr_ros.body.points import BodyPoints
from hmr_ros.geometry.rotations import (
    axis_angle_from_quaternion,
    davenport,
    matrix_from_unit_quaternion,
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_product,
)
from hmr_ros.types import Floats, Ints

ITERATIONS = 3
_MIN_DEPTH_M = 0.2
_MAX_BETA = 3.0
_MAX_STEP_RAD = 0.7
_MOST_KEPT = 16  # people whose equations stay in memory, 0.2 MB each
_HELD_PELVIS = 1e-4  # 1/m^2, where no ray tells of it
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
    """Fits one choice of points; everything that depends on the body alone is prepared once. Not safe to call from
    several threads at once."""

    def __init__(self, points: BodyPoints) -> None:
        self._points = points
        self._known: dict[bytes, ArticulatedPoints] = {}  # by their leaning bones
        self._equations: tuple[ArticulatedPoints, int, NormalEquations] | None = None
        self._parts = _parts(points)[_BY_LEVEL]
        self._source = points.template - points.J_template[0]
        self._source_directions = (points.shapedirs - points.J_shapedirs[0]).reshape(-1, NUM_BETAS).T.copy()
        spread = np.array([_PRIOR_RAD.get(name, _DEFAULT_PRIOR_RAD) for name in SMPL_JOINTS])
        spread[0] = 1e3
        self._prior = np.concatenate([np.repeat(1.0 / spread**2, 3), np.zeros(NUM_BETAS), np.full(3, _HELD_PELVIS)])

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
        body = self._articulated(seen.leans)
        rotations = matrix_from_unit_quaternion(turns)
        posed = body.posed(rotations, betas)
        pelvis = _placed(seen, others, posed.points)
        target, equations, both = _Target(seen, others), self._equations_of(body, len(betas)), None
        for _ in range(iterations):
            parents = np.take(posed.world, SMPL_PARENTS[1:], 1)
            target.set_rows(equations, body, posed, pelvis)
            both = equations.product()
            step = self._step(both, seen, betas, _deviation(turns, rest, parents))
            turns = _turned(turns, parents, step[:, :POSE].reshape(-1, NUM_JOINTS, 3))
            betas = np.clip(betas + step[:, SHAPE], -_MAX_BETA, _MAX_BETA)
            pelvis = pelvis + step[:, PELVIS]
            rotations = matrix_from_unit_quaternion(turns)
            posed = body.posed(rotations, betas)
        normal = None if both is None else both[:, :UNKNOWNS, :UNKNOWNS]
        return Fitted(rotations, betas, pelvis, posed.points.swapaxes(1, 2), normal)

    def _articulated(self, leans: Leans | None) -> ArticulatedPoints:
        """With the bones that lean, which stay the same from call to call."""
        key = leans.bones.tobytes() if leans else b""
        if key not in self._known:
            self._known = {key: ArticulatedPoints(self._points, leans.bones if leans else None)}
        return self._known[key]

    def _equations_of(self, body: ArticulatedPoints, people: int) -> NormalEquations:
        """Those of the last call where they fit: their memory is a good part of the cost of a few people."""
        last = self._equations
        if last is None or last[:2] != (body, people):
            last = body, people, NormalEquations(body, people)
            self._equations = last if people <= _MOST_KEPT else None
        return last[2]

    def _start(self, seen: Observed, betas: Floats) -> Floats:
        """Local rotations [N,24,4] wxyz: every bone's points laid on the seen ones (Kabsch), parents first; what few
        points leave open is taken from the parent."""
        A = self._parts
        source = self._source + (betas @ self._source_directions).reshape(-1, *self._source.shape)
        both = (seen.points[..., :, None] * source[..., None, :]).reshape(*source.shape[:2], 9)
        sums = A @ np.concatenate([seen.points, source, both], -1)  # [N,24,15], joints by level
        outer = sums[..., :3, None] * (sums[..., None, 3:6] / A.sum(1)[:, None, None])
        covariance = sums[..., 6:].reshape(outer.shape) - outer
        share = 0.2 * np.sqrt(np.square(covariance).sum((-2, -1), keepdims=True))
        covariance[:, 0] = np.take(covariance, _TRUNK, 1).sum(1)
        agreement = davenport(covariance)
        world = np.empty((len(betas), NUM_JOINTS, 4))
        world[:, 0] = np.linalg.eigh(agreement[:, 0])[1][..., -1]
        for level, parents in _LEVELS:
            q = np.take(world, parents, 1)
            held = share[:, level] * q[..., :, None]
            held = held * q[..., None, :]  # the agreement of a rotation of its own is 4 q q^T - 1
            held += agreement[:, level]
            world[:, level] = np.linalg.eigh(held)[1][..., -1]
        world = np.take(world, _BY_JOINT, 1)
        local = quaternion_product(np.take(world, np.maximum(SMPL_PARENTS, 0), 1) * _INVERSE, world)
        local[:, 0] = world[:, 0]
        return local

    def _step(self, both: Floats, seen: Observed, betas: Floats, deviation: Floats) -> Floats:
        """The step of Gauss and Newton [N,85]. Adds what holds pose and pelvis to the normal equations `both`
        [N,86,86]."""
        diagonal = both.reshape(len(both), -1)[:, :: UNKNOWNS + 2]
        diagonal[:, :UNKNOWNS] += self._prior
        normal, right = both[:, :UNKNOWNS, :UNKNOWNS], both[:, :UNKNOWNS, UNKNOWNS].copy()
        right[:, 3:POSE] -= self._prior[3:POSE] * deviation.reshape(len(right), -1)
        known = seen.sigma_betas[:, None] ** -2
        right[:, SHAPE] += known * (seen.betas - betas)
        diagonal[:, SHAPE] += known
        step = solved(normal, right)
        diagonal[:, SHAPE] -= known
        return step


class _Target:
    """What is observed, in the layout of the normal equations."""

    def __init__(self, seen: Observed, others: Sequence[OtherCamera]) -> None:
        self._seen, self._points = seen, np.ascontiguousarray(seen.points.transpose(2, 0, 1))  # [3,N,P]
        self._inverse = seen.sigma**-2
        self._rays, self._weight = seen.rays.transpose(2, 0, 1), 1.0 / seen.sigma_rays
        self._others = others

    def set_rows(self, equations: NormalEquations, body: ArticulatedPoints, posed: Posed, pelvis: Floats) -> None:
        """Of people whose pelvis is at `pelvis` [N,3] m."""
        motion, motion_between = body.shape_motion(posed.world)
        equations.set_points(posed, motion, self._information(posed.points.swapaxes(0, 1), pelvis))
        if self._seen.leans:
            equations.set_between(posed, motion_between, *_leaning(self._seen.leans, posed.between))

    def _information(self, points: Floats, pelvis: Floats) -> Information:
        """About `points` [3,N,P] m with the pelvis at `pelvis` [N,3] m."""
        xyz = points + pelvis.T[..., None]
        depth = np.maximum(xyz[2], _MIN_DEPTH_M)
        gain = self._weight / depth
        plane = xyz[:2] / depth
        space, pull_space = np.zeros((6, *depth.shape)), np.empty_like(points)
        # d(x/z) = (dx - (x/z) dz) / z
        space[0] = space[3] = square = gain * gain
        space[2::2] = leaning = -square * plane
        space[5] = -(leaning * plane).sum(0)
        pull_space[:2] = (gain * self._weight) * (self._rays - plane)
        pull_space[2] = -(pull_space[:2] * plane).sum(0)
        for camera in self._others:
            _add_camera(space, pull_space, camera, xyz)
        if self._seen.depths is not None and self._seen.sigma_depths is not None:
            inverse = self._seen.sigma_depths**-2
            space[5] += inverse
            pull_space[2] += inverse * (self._seen.depths - xyz[2])
        matrix = space.copy()
        matrix[_DIAGONAL] += self._inverse
        return Information(matrix, pull_space + self._inverse * (self._points - points), space, pull_space)


def _add_camera(space: Floats, pull: Floats, camera: OtherCamera, xyz: Floats) -> None:
    """What another camera tells of the points at `xyz` [3,N,P] m, added to information [6,N,P] and pull [3,N,P]."""
    there = np.tensordot(camera.R, xyz, 1) + camera.t[:, None, None]
    depth = np.maximum(there[2], _MIN_DEPTH_M)
    for c in range(2):
        plane = there[c] / depth
        row = (camera.R[c][:, None, None] - camera.R[2][:, None, None] * plane) / (depth * camera.sigma_rays)
        space += row[_UPPER[0]] * row[_UPPER[1]]
        pull += row * ((camera.rays[..., c] - plane) / camera.sigma_rays)


def _leaning(leans: Leans, along: Floats) -> tuple[Floats, Floats]:
    """Weight [N,M] 1/m of the depths of the bones `along` [N,3,M] m and how far off they are [N,M]."""
    weight = 1.0 / (np.sqrt((along * along).sum(1)) * leans.sigma)  # the length is taken as it stands
    return weight, leans.sine / leans.sigma - along[:, 2] * weight


def _deviation(turns: Floats, rest: Floats | None, parents: Floats) -> Floats:
    """How far [N,23,3] rad each local rotation but the pelvis' is from its prior's mean, as a turn in camera axes;
    `parents` [N,23,3,3] take it there."""
    away = turns[:, 1:] if rest is None else quaternion_product(turns[:, 1:], rest[:, 1:] * _INVERSE)
    return np.asarray((parents @ axis_angle_from_quaternion(away)[..., None])[..., 0])


def _turned(turns: Floats, parents: Floats, by: Floats) -> Floats:
    """Local rotations [N,24,4] wxyz after turns `by` [N,24,3] rad in camera axes of each joint and its subtree."""
    angle = np.sqrt((by * by).sum(-1, keepdims=True))
    by = by * np.minimum(1.0, _MAX_STEP_RAD / np.maximum(angle, 1e-9))
    by[:, 1:] = (by[:, 1:, None] @ parents)[:, :, 0]  # in the axes of the parent
    return quaternion_product(quaternion_from_axis_angle(by), turns)


def _placed(seen: Observed, others: Sequence[OtherCamera], points: Floats) -> Floats:
    """Where the pelvis [N,3] m is to start, for `points` [N,3,P] m."""
    rows = points.swapaxes(1, 2)
    return _moved_to_depths(place(rows, seen.rays, seen.sigma_rays, others), rows, seen)


def place(points: Floats, rays: Floats, sigma: Floats, others: Sequence[OtherCamera] = ()) -> Floats:
    """Position [N,3] that brings the projections of `points` [N,P,3] + position closest to `rays` [N,P,2] and to those
    of `others`; two rounds of linear least squares, the second weighted by the depth found."""
    rows, depths = [], []
    for R, t, its in ((np.eye(3), np.zeros(3), rays), *((c.R, c.t, c.rays) for c in others)):
        turned = points @ R.T + t  # in the camera's axes, without the position
        right = its * turned[..., 2:] - turned[..., :2]
        rows.append(np.concatenate([R[:2] - its[..., None] * R[2], right[..., None]], -1))  # [N,P,2,4]
        depths.append((turned[..., 2], R[2]))
    both = np.concatenate(rows, 1)
    found: Floats = np.zeros((len(points), 3))
    inverse = 1.0 / np.concatenate([sigma, *(c.sigma_rays for c in others)], 1)
    weight = inverse
    for _ in range(2):
        weighted = (both * weight[..., None, None]).reshape(len(points), -1, 4)
        normal = weighted.swapaxes(1, 2) @ weighted
        found = np.linalg.solve(normal[:, :3, :3] + _LEAST_PLACED, normal[:, :3, 3:])[..., 0]
        z = np.concatenate([depth + (found @ axis)[:, None] for depth, axis in depths], 1)
        weight = inverse / np.maximum(z, _MIN_DEPTH_M)
    return found


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


def _levels() -> list[tuple[slice, Ints]]:
    """Each level below the pelvis and its parents, among the joints ordered by level."""
    ends = np.cumsum([len(level) for level in SMPL_LEVELS])
    return [
        (slice(start, end), _BY_JOINT[SMPL_PARENTS[level]])
        for start, end, level in zip(ends, ends[1:], SMPL_LEVELS[1:], strict=False)
    ]


_BY_LEVEL = np.concatenate(SMPL_LEVELS)
_BY_JOINT = np.argsort(_BY_LEVEL)
_LEVELS = _levels()
_TRUNK = _BY_JOINT[[SMPL[name] for name in ("pelvis", "spine1", "spine2")]]
_DIAGONAL, _UPPER = np.array([0, 3, 5]), np.triu_indices(3)  # of a symmetric matrix in six numbers
_INVERSE = np.array([1.0, -1.0, -1.0, -1.0])  # of a unit quaternion
_LEAST_PLACED = 1e-9 * np.eye(3)
