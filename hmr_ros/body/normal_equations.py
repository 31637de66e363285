"""Normal equations of a fit of articulated points, from one information matrix a point instead of its measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from hmr_ros.body.articulated import ArticulatedPoints, Posed
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS
from hmr_ros.types import Floats, Ints

POSE = NUM_JOINTS * 3
UNKNOWNS = POSE + NUM_BETAS + 3  # turns of the joints, betas, pelvis
SHAPE, PELVIS = slice(POSE, POSE + NUM_BETAS), slice(POSE + NUM_BETAS, UNKNOWNS)
_RIGHT = UNKNOWNS  # the right side stands behind the unknowns
_LEAST, _LEAST_SHARE = 1e-9, 1e-10  # 1/m^2, and of the trace: where nothing is known, a root must exist
_SYMMETRIC = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # of a matrix that is kept as its upper triangle


@dataclass(frozen=True)
class Information:
    """What is known of the places of P points of N people, in quadratic form; matrices as 00, 01, 02, 11, 12, 22."""

    matrix: Floats  # [6,N,P] 1/m^2 of a point relative to the pelvis
    pull: Floats  # [3,N,P] 1/m, the matrix times how far off the point is
    space: Floats  # [6,N,P] the part of it that tells of the point in space, and so of the pelvis as well
    pull_space: Floats  # [3,N,P]


class NormalEquations:
    """A^T A and A^T r of N people: the rows of a step are written side by side and multiplied once.

    A point with information W = L^T L that moves by J has the three rows L J. In the columns of the pelvis they hold
    L^-T W_space and on the right L^-T g, which is to say J^T W_space and J^T g once they are multiplied.
    """

    def __init__(self, articulated: ArticulatedPoints, people: int) -> None:
        self._articulated = articulated
        P, M = articulated.count, articulated.count_between
        width = 3 * P + M
        self._columns = np.zeros((people, UNKNOWNS + 1, width))  # what no joint moves stays zero
        self._rows = self._columns[..., : 3 * P].reshape(people, UNKNOWNS + 1, 3, P)
        steps = np.array([c * width + row * P for row in range(3) for c in range(3)][:8])  # the ninth is always zero
        first = np.arange(people)[:, None, None] * ((UNKNOWNS + 1) * width) + 3 * width * articulated.joint_of
        self._places = first + (steps[:, None] + articulated.point_of)  # [N,8,S]

    def set_points(self, posed: Posed, motion: Floats, known: Information) -> None:
        """Rows of the points, which move by `motion` [N,3,10,P] m for a unit of each beta."""
        rows, L = self._rows, square_root(known.matrix)
        _put(self._columns, self._places, _crossed(posed.arms, np.take(L, self._articulated.point_of, -1)))
        a, b, c, d, e, f = L[:, :, None]
        x, y, z = motion.swapaxes(0, 1)
        rows[:, SHAPE, 0] = a * x + b * y + c * z
        rows[:, SHAPE, 1] = d * y + e * z
        np.multiply(f, z, out=rows[:, SHAPE, 2])
        both = np.concatenate([known.space[_SYMMETRIC], known.pull[:, None]], 1)  # [3,4,N,P]
        x, y, z = both.swapaxes(1, 2)
        x = x / a
        y = (y - b * x) / d
        last = rows[:, PELVIS.start :]
        last[:, :, 0], last[:, :, 1] = x, y
        last[:, :, 2] = (z - c * x - e * y) / f
        self._space, self._pull = known.space.sum(-1)[_SYMMETRIC], known.pull_space.sum(-1)

    def set_between(self, posed: Posed, motion: Floats, weight: Floats, rest: Floats) -> None:
        """Rows that tell of the third coordinate of the differences: `weight` [N,M] 1/m, one over the standard
        deviation, and how far off they are in these units, `rest` [N,M]; `motion` [N,3,10,M] as above."""
        at, columns = self._articulated, self._columns[..., 3 * self._articulated.count :]
        lean = posed.arms_between[:, :2] * np.take(weight, at.between_of, -1)[:, None]
        columns[:, 3 * at.joint_of_between, at.between_of] = lean[:, 1]  # the third coordinate of w x arm
        columns[:, 3 * at.joint_of_between + 1, at.between_of] = -lean[:, 0]
        np.multiply(motion[:, 2], weight[:, None], out=columns[:, SHAPE])
        columns[:, _RIGHT] = rest

    def product(self) -> Floats:
        """A^T A [N,86,86] with A^T r as last column, of the rows that were set."""
        both = np.asarray(self._columns @ self._columns.swapaxes(1, 2))
        both[:, PELVIS, PELVIS] = self._space.transpose(2, 0, 1)
        both[:, PELVIS, _RIGHT] = self._pull.T
        return both


def square_root(W: Floats) -> Floats:
    """The upper triangle of L with L^T L = W, of positive semidefinite matrices; both [6,N,P], as 00, 01, ..."""
    more = W[0] + W[3]
    more += W[5]
    more *= _LEAST_SHARE
    more += _LEAST
    L = np.empty_like(W)
    a, b, c, d, e, f = L
    np.sqrt(W[0] + more, out=a)
    np.divide(W[1:3], a, out=L[1:3])
    np.sqrt(np.maximum(W[3] - b * b, 0.0) + more, out=d)
    np.divide(W[4] - b * c, d, out=e)
    np.sqrt(np.maximum(W[5] - c * c - e * e, 0.0) + more, out=f)
    return L


def solved(normal: Floats, right: Floats) -> Floats:
    """Solutions [N,K] of symmetric positive definite systems [N,K,K] and [N,K], by Cholesky."""
    found = np.empty_like(right)
    for i, (A, b) in enumerate(zip(normal, right, strict=True)):
        _, found[i], failed = lapack.dposv(A.T, b, lower=1)
        if failed:  # not a number, or rounded out of definiteness
            found[i] = np.linalg.solve(A, b)
    return found


def _put(array: Floats, places: Ints, values: Floats) -> None:
    array.reshape(-1)[places] = values


def _crossed(arms: Floats, L: Floats) -> Floats:
    """What a unit turn about each axis makes of L times the motion of each pair: arm x row [N,8,S] of `arms` [N,3,S]
    for the rows of `L` [6,N,S], without the last number, which is zero."""
    x, y, z = arms.swapaxes(0, 1)
    a, b, c, d, e, f = L
    out = np.empty((len(arms), 8, arms.shape[-1]))
    np.subtract(y * c, z * b, out=out[:, 0])
    np.subtract(z * a, x * c, out=out[:, 1])
    np.subtract(x * b, y * a, out=out[:, 2])
    np.subtract(y * e, z * d, out=out[:, 3])
    np.multiply(x, -e, out=out[:, 4])
    np.multiply(x, d, out=out[:, 5])
    np.multiply(y, f, out=out[:, 6])
    np.multiply(x, -f, out=out[:, 7])
    return out
