"""What the posture networks take and give, whatever runs them; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hmr_ros.types import Floats


@dataclass(frozen=True)
class Posture:
    """What the networks say of N people, in the axes of a camera aimed at each; 81 sparse points."""

    points_2d: Floats  # [N,81,2] in units of the person's size
    sigma_2d: Floats  # [N,81] same units
    points: Floats  # [N,81,3] m, pelvis near the origin
    sigma: Floats  # [N,81] m


class PostureNetwork(Protocol):
    """Any engine that runs the two networks."""

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """`points` [N,33,6] and `log_scale` [N] as in `posture.features`."""
        ...
