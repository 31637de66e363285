"""How score guidance weighs what it knows, and the presets: live, one frame alone, whole tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hmr_ros.diffusion.schedule import falling


class MotionSpread(NamedTuple):
    """How much a 6D number changes from frame to frame (1/30 s), and its speed; `inf` = anything goes."""

    change: float
    speed: float


@dataclass(frozen=True)
class Guidance:
    """Settings of score guidance; what `hmr export refine` writes into the graph is marked."""

    frames: int = 16  # of the window (exported)
    tau: int = 50  # noise level up to which poses are inverted (exported)
    steps: int = 2  # guided steps (exported)
    prior: float = 0.154  # weight of the distance to x0-hat (exported)
    motion: MotionSpread = field(default_factory=lambda: MotionSpread(math.inf, 0.22))  # of 6D numbers (exported)
    depth: MotionSpread = field(default_factory=lambda: MotionSpread(math.inf, 0.004))  # of its logarithm (exported)
    sigma_depth: float = 0.03
    sigma_measured: float = 0.005  # the same where depths were measured
    sigma_ray: float = 0.016  # m, standard deviation of a fully confident landmark
    outlier: float = (
        0.5  # m, distance beyond which a landmark loses its pull; a fast wrist is far from where it was (exported)
    )
    floor: float = 25.7  # 1/rad^2, what holds a joint where nothing else does
    history: bool = True  # whether frames before this one are looked at
    loops: int = 1  # inversions, each followed by guided steps
    max_gap_s: float = 0.5  # a longer time out of sight is a new beginning

    @property
    def levels(self) -> list[int]:
        """Noise levels of guided sampling, from `tau` to 0."""
        return falling(self.tau, self.steps)


# one frame alone: nothing but its key points can move it, and they shall
KEYPOINTS = Guidance(sigma_ray=0.0044, floor=128.6, history=False)

OFFLINE = Guidance(
    steps=10, loops=2, sigma_ray=0.011, motion=MotionSpread(math.inf, 0.088), depth=MotionSpread(0.05, 0.004)
)

# several synchronised views of one person
VIEWS = replace(OFFLINE, tau=100, sigma_ray=0.0132)
