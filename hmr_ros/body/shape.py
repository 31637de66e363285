"""Shape: betas from bone lengths, and the shape of each track over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import MEASURED_BONES_SMPL
from hmr_ros.body.model import NUM_BETAS, BodyModel
from hmr_ros.types import Floats

# Landmark bones scatter by about 2 cm against one standard deviation a beta; bounds keep the surface human.
_BONE_SIGMA_M = 0.02
_MAX_BETA = 2.5
_ITERATIONS = 3


def betas_from_bone_lengths(body: BodyModel, lengths: Floats) -> Floats:
    """Betas [10] of greatest posterior for bone lengths [len(MEASURED_BONES)] m (NaN = unknown, prior N(0, 1)).

    Gauss-Newton on |J_a(beta) - J_b(beta)|, which is nearly linear in beta.
    """
    betas = np.zeros(NUM_BETAS)
    known = np.isfinite(lengths)
    if not known.any():
        return betas
    a, b = MEASURED_BONES_SMPL[known].T
    directions = body.joint_shapedirs[a] - body.joint_shapedirs[b]  # [M,3,10]
    for _ in range(_ITERATIONS):
        rest = body.rest_joints(betas)
        bones = rest[a] - rest[b]
        norms = np.linalg.norm(bones, axis=-1)
        A = np.einsum("mc,mck->mk", bones / norms[:, None], directions) / _BONE_SIGMA_M
        residual = (lengths[known] - norms) / _BONE_SIGMA_M + A @ betas
        betas = np.linalg.solve(A.T @ A + np.eye(NUM_BETAS), A.T @ residual)
    return np.clip(betas, -_MAX_BETA, _MAX_BETA)


_SIGMA_BETAS = 1.0  # of a new track; the population's own spread
_SIGMA_BETAS_LEAST = 0.1  # of an established track
_FORGET_FRAMES = 300


class TrackShapes:
    """Running mean of each track's betas: one person has one shape."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Floats, int, int]] = {}  # track -> mean, count, last frame

    def knows(self, track_id: int) -> bool:
        """Whether anything was learned of this track."""
        return track_id in self._known

    def expected(self, track_ids: list[int]) -> tuple[Floats, Floats]:
        """Mean [N,10] and how far a person may be from it [N]."""
        rows = [self._known.get(i, (np.zeros(NUM_BETAS), 0, 0)) for i in track_ids]
        counts = np.array([row[1] for row in rows])
        sigma = np.maximum(_SIGMA_BETAS / np.sqrt(1.0 + counts), _SIGMA_BETAS_LEAST)
        return np.array([row[0] for row in rows]), sigma

    def learn(self, track_ids: list[int], betas: Floats, frame: int) -> None:
        """Move the means; forget who was away for long."""
        for i, found in zip(track_ids, betas, strict=True):
            mean, count, _ = self._known.get(i, (np.zeros(NUM_BETAS), 0, 0))
            count = min(count + 1, int(_SIGMA_BETAS_LEAST**-2))
            self._known[i] = (mean + (found - mean) / count, count, frame)
        self._known = {i: row for i, row in self._known.items() if frame - row[2] < _FORGET_FRAMES}


_PRIOR = np.eye(NUM_BETAS)  # information of the population about a new track
_SIZE = 0  # the beta that is size: the others keep the limb joints' spread within 0.1 %
_SHRUNK = 0.05  # of the size, at which what the points say of it is worth as much as three persons of the population
_SIZE_TRUST = 3.0


@dataclass(frozen=True)
class ShapeInformation:
    """What evidence says of the betas of N people: Gaussians in information form, added where it is independent."""

    matrix: Floats  # [N,10,10], the inverse covariance; singular where evidence says nothing
    vector: Floats  # [N,10], the matrix times the most probable betas


def shape_information(normal: Floats, betas: Floats, expected: Floats, sigma: Floats) -> ShapeInformation:
    """What each frame alone says of the betas, pose and place being unknown too: the Schur complement of the fit's
    normal equations.

    `normal` [N,85,85] as `Fitted.normal`, `betas` [N,10] the fit's answer with the prior N(`expected` [N,10], `sigma`
    [N]), which is taken out again.
    """
    shape = slice(normal.shape[-1] - NUM_BETAS - 3, -3)
    rest = np.r_[: shape.start, normal.shape[-1] - 3 : normal.shape[-1]]
    mixed = normal[:, rest, shape]
    known = np.linalg.solve(normal[:, rest[:, None], rest], mixed)
    matrix = normal[:, shape, shape] - np.swapaxes(mixed, 1, 2) @ known
    pulled = (betas - expected) / sigma[:, None] ** 2  # at the minimum both pulls are equal
    return ShapeInformation(matrix, (matrix @ betas[..., None])[..., 0] + pulled)


def size_doubted(found: ShapeInformation, shrunk: Floats) -> ShapeInformation:
    """The same, where the size of the points is too small by an unknown part of the order of `shrunk` [N].

    Points that are means over what they may be lie closer together than any of it, so a body of which little is seen
    looks small. Size is beta 0; its error is marginalised out.
    """
    along = found.matrix[:, :, _SIZE]
    least = _SIZE_TRUST * (_SHRUNK / np.maximum(shrunk, 1e-6)) ** 4
    total = found.matrix[:, _SIZE, _SIZE] + least
    matrix = found.matrix - along[:, :, None] * along[:, None] / total[:, None, None]
    return ShapeInformation(matrix, found.vector - along * (found.vector[:, _SIZE] / total)[:, None])


def shrinkage(points: Floats, sigma: Floats) -> Floats:
    """By which part [N] of their size `points` [N,P,3] m lie closer together than what they are means of, for errors of
    `sigma` [N,P] m an axis: E|x|^2 = |E x|^2 + 3 sigma^2."""
    around = points - points.mean(1, keepdims=True)
    return np.asarray(1.5 * np.square(sigma).sum(1) / np.square(around).sum((1, 2)))


_SAMPLES_PER_S = 1.0  # independent ones; errors of neighbouring frames are the same
_MOST_SAMPLES = 10.0  # remembered
_FORGET_S = 10.0
_OUT_OF_ORDER_S = 0.5  # by which the stamp of an image may be older than the last without a new beginning
_MOST_TOLD = 1e3  # trace of the information of a frame, ten times that of clear ones: nobody is seen better


class ShapeMemory:
    """What the frames of one track have said of its shape."""

    def __init__(self) -> None:
        self._matrix, self._vector = np.zeros((NUM_BETAS, NUM_BETAS)), np.zeros(NUM_BETAS)

    @property
    def betas(self) -> Floats:
        """[10], the most probable ones of the population and of all that was said."""
        return np.asarray(np.linalg.solve(_PRIOR + self._matrix, self._vector))

    def add(self, matrix: Floats, vector: Floats, weight: float, samples: float = np.inf) -> None:
        """A frame's information [10,10] and [10], as so much of an independent one; with `samples` at most so many are
        remembered. What says nothing makes nothing forgotten."""
        told = np.trace(np.linalg.solve(_PRIOR + matrix, matrix)) / NUM_BETAS  # share of the betas that it settles
        kept = 1.0 - min(1.0, weight * told / samples)
        self._matrix = kept * self._matrix + weight * matrix
        self._vector = kept * self._vector + weight * vector


class TrackMemories:
    """One memory of the shape a track; frames come in order."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ShapeMemory, float]] = {}  # track -> memory, when it last learned

    def betas(self, track_ids: list[int]) -> Floats:
        """[N,10]; zero for new tracks."""
        found = [self._known[i][0].betas if i in self._known else np.zeros(NUM_BETAS) for i in track_ids]
        return np.array(found).reshape(-1, NUM_BETAS)

    def learn(self, track_ids: list[int], found: ShapeInformation, seconds: float) -> None:
        """Take in a frame; forget who was away for long, and all if time goes backwards by more than half a second."""
        self._known = {i: row for i, row in self._known.items() if -_OUT_OF_ORDER_S <= seconds - row[1] < _FORGET_S}
        for i, matrix, vector in zip(track_ids, found.matrix, found.vector, strict=True):
            memory, last = self._known.get(i, (ShapeMemory(), -np.inf))
            new = min(1.0, _SAMPLES_PER_S * max(0.0, seconds - last))
            alone = np.linalg.solve(_PRIOR + matrix, vector)
            odd = np.square(alone - memory.betas).mean()  # in those of the population; heavy tails, for bad frames
            share = min(1.0, _MOST_TOLD / max(float(np.trace(matrix)), 1.0))
            memory.add(matrix, vector, share * new / (1.0 + odd), _MOST_SAMPLES)
            self._known[i] = memory, max(seconds, last)
