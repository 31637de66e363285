"""One person has one shape: a running mean of each track's betas."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.model import NUM_BETAS
from hmr_ros.types import Floats

_SIGMA_BETAS = 1.0  # of a newcomer; the population's own spread
_SIGMA_BETAS_LEAST = 0.1  # of somebody long known
_FORGET_FRAMES = 300


class TrackShapes:
    """Running mean of each track's betas: one person has one shape."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Floats, int, int]] = {}  # track -> mean, count, last frame

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
