"""What a network says of 81 points of a body (17 joints, 64 surface markers), and the contract of such networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.types import Array, Frame, Track

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Posture:
    """The 81 sparse points of N people, in the axes of a camera aimed at each."""

    points_2d: Float[Array, "N 81 2"]  # in units of the person's size
    sigma_2d: Float[Array, "N 81"]  # one standard deviation an axis, same units
    points: Float[Array, "N 81 3"]  # m, pelvis near the origin
    sigma: Float[Array, "N 81"]  # m, one standard deviation an axis


class PostureSource(Protocol):
    """Whoever estimates the 81 points of everybody in a frame."""

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """One row a track; `seen` holds their normalised key points, in the same order."""
        ...
