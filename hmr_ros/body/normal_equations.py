"""Normal equations of a fit of articulated points, from one information matrix a point instead of its measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from hmr_ros.body.articulated import ArticulatedPoints
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS
from hmr_ros.types import Floats, Ints

POSE = NUM_JOINTS * 3
UNKNOWNS = POSE + NUM_BETAS + 3  # turns of the joints, betas, pelvis
SHAPE, PELVIS = slice(POSE, POSE + NUM_BETAS), slice(POSE + NUM_BETAS, UNKNOWNS)
_RIGHT = UNKNOWNS  # the right side stands behind the unknowns
_LEAST, _LEAST_SHARE = 1e-9, 1e-10  # 1/m^2, and of the trace: where nothing is known, a root must exist


@dataclass(frozen=True)
class Information:
    """What is known of the places of P points of N people, in quadratic form."""

    matrix: Floats  # [N,3,3,P] 1/m^2 of a point relative to the pelvis
    pull: Floats  # [N,3,P] 1/m, the matrix times how far off the point is
    space: Floats  # [N,3,3,P] the part of it that tells of the point in space, and so of the pelvis as well
    pull_space: Floats  # [N,3,P]


class NormalEquations:
    """A^T A and A^T r of N people: the rows of a step are written side by side and multiplied once.

    A point with information W = L^T L that moves by J has the three rows L J. In the columns of the pelvis they hold
    L^-T W_space and on the right L^-T g, which is to say J^T W_space and J^T g once they are multiplied.
    """

    def __init__(self, articulated: ArticulatedPoints, people: int, bones: Ints | None) -> None:
        """`bones` [M,2]: indices of the points between which `set_bones` will tell of directions."""
        self._articulated, self._bones = articulated, bones
        P = self._P = articulated.count
        width = 3 * P + (0 if bones is None else len(bones))
        self._columns = np.zeros((people, UNKNOWNS + 1, width))  # what no joint moves stays zero
        first = 3 * width * articulated.joint_of + articulated.point_of
        steps = [c * width + row * P for row in range(3) for c in range(3)][:8]
        inside = np.array(steps)[:, None] + first  # [8,S], the ninth is always zero
        self._places = np.arange(people)[:, None, None] * (UNKNOWNS + 1) * width + inside

    def set_points(self, arms: Floats, motion: Floats, known: Information) -> None:
        """Rows of the points with `arms` [N,3,S] m that move by `motion` [N,3,10,P] m for a unit of each beta."""
        L = square_root(known.matrix)
        self._columns.reshape(-1)[self._places] = _crossed(arms, np.take(L, self._articulated.point_of, -1))
        rows = self._columns[..., : 3 * self._P].reshape(len(arms), UNKNOWNS + 1, 3, self._P)
        a, b, c, d, e, f = L[:, :, None]
        x, y, z = motion.swapaxes(0, 1)
        rows[:, SHAPE, 0] = a * x + b * y + c * z
        rows[:, SHAPE, 1] = d * y + e * z
        rows[:, SHAPE, 2] = f * z
        x, y, z = np.concatenate([known.space, known.pull[:, :, None]], 2).swapaxes(0, 1)  # [N,4,P] each
        x = x / a
        y = (y - b * x) / d
        rows[:, PELVIS.start :, 0], rows[:, PELVIS.start :, 1] = x, y
        rows[:, PELVIS.start :, 2] = (z - c * x - e * y) / f
        self._space, self._pull = known.space.sum(-1), known.pull_space.sum(-1)

    def set_bones(self, arms: Floats, motion: Floats, weight: Floats, rest: Floats) -> None:
        """Rows that tell of the depth of a bone's second point beyond the first: `weight` [N,M] 1/m, one over the
        standard deviation, and how far off they are in these units, `rest` [N,M]."""
        assert self._bones is not None
        first, second = self._bones.T
        P, at = self._P, self._articulated
        wide = np.zeros((len(arms), 2, NUM_JOINTS * P))
        wide[..., at.joint_of * P + at.point_of] = arms[:, :2]
        wide = wide.reshape(len(arms), 2, NUM_JOINTS, P)
        x, y = ((wide[..., second] - wide[..., first]) * weight[:, None, None]).swapaxes(0, 1)
        rows = self._columns[..., 3 * P :]
        rows[:, 0:POSE:3], rows[:, 1:POSE:3] = y, -x  # the third coordinate of w x arm
        rows[:, SHAPE] = (motion[:, 2][..., second] - motion[:, 2][..., first]) * weight[:, None]
        rows[:, _RIGHT] = rest

    def product(self) -> tuple[Floats, Floats]:
        """A^T A [N,85,85] and A^T r [N,85] of the rows that were set."""
        both = self._columns @ self._columns.swapaxes(1, 2)
        both[:, PELVIS, PELVIS], both[:, PELVIS, _RIGHT] = self._space, self._pull
        return both[:, :UNKNOWNS, :UNKNOWNS], both[:, :UNKNOWNS, _RIGHT]


def square_root(W: Floats) -> Floats:
    """The upper triangles (00, 01, 02, 11, 12, 22) [6,N,P] of L with L^T L = W [N,3,3,P], positive semidefinite."""
    trace = W[:, 0, 0] + W[:, 1, 1] + W[:, 2, 2]
    more = _LEAST_SHARE * trace + _LEAST
    a = np.sqrt(W[:, 0, 0] + more)
    b, c = W[:, 0, 1] / a, W[:, 0, 2] / a
    d = np.sqrt(np.maximum(W[:, 1, 1] - b * b, 0.0) + more)
    e = (W[:, 1, 2] - b * c) / d
    f = np.sqrt(np.maximum(W[:, 2, 2] - c * c - e * e, 0.0) + more)
    return np.stack([a, b, c, d, e, f])


def solved(normal: Floats, right: Floats) -> Floats:
    """Solutions [N,K] of symmetric positive definite systems [N,K,K] and [N,K], by Cholesky."""
    found = np.empty_like(right)
    for i, (A, b) in enumerate(zip(normal, right, strict=True)):
        _, found[i], failed = lapack.dposv(A.T, b, lower=1)
        if failed:  # not a number, or rounded out of definiteness
            found[i] = np.linalg.solve(A, b)
    return found


def _crossed(arms: Floats, L: Floats) -> Floats:
    """What a unit turn about each axis makes of L times the motion of each pair: arm x row [N,8,S] of `arms` [N,3,S]
    for the rows of `L` [6,N,S], without the last number, which is zero."""
    x, y, z = arms.swapaxes(0, 1)
    a, b, c, d, e, f = L
    out = np.empty((len(arms), 8, arms.shape[-1]))
    out[:, 0], out[:, 1], out[:, 2] = y * c - z * b, z * a - x * c, x * b - y * a
    out[:, 3], out[:, 4], out[:, 5] = y * e - z * d, -x * e, x * d
    out[:, 6], out[:, 7] = y * f, -x * f
    return out
