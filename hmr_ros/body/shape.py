"""Shape from bone lengths: the betas whose rest skeleton has the measured bones."""

from __future__ import annotations

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
