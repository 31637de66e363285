"""The grid of times on which the diffusion prior looks at the frames around one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.types import Floats

SLOT_S = 1 / 30  # the frames around are looked at in steps of this time


@dataclass(frozen=True)
class Grid:
    """`count` slots; slot `past - 1` is the frame itself."""

    past: int
    count: int

    def sampled(self, features: Floats, seconds: Floats, at: float) -> tuple[Floats, Floats]:
        """Frames around the time `at` [s]: features [count,D] and presence [count].

        `features` [F,D] seen at rising times `seconds` [F]. Between two frames they are interpolated; before the first
        and after the last there is nothing.
        """
        grid = at + (np.arange(self.count) - (self.past - 1)) * SLOT_S
        slack = 0.3 * SLOT_S  # a camera's stamps are never quite even
        present = (grid >= seconds[0] - slack) & (grid <= seconds[-1] + slack)
        right = np.clip(np.searchsorted(seconds, grid), 1, max(1, len(seconds) - 1))
        left = right - 1
        right = np.minimum(right, len(seconds) - 1)
        span = np.maximum(seconds[right] - seconds[left], 1e-9)
        weight = np.clip((grid - seconds[left]) / span, 0.0, 1.0)[:, None]
        return (1 - weight) * features[left] + weight * features[right], present.astype(np.float64)
