"""Rigid transforms between frames, and the one between two that are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hmr_ros.geometry.rotations import fraction_of_rotation
from hmr_ros.types import Array, Floats, Hypotheses

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Rigid:
    """x in one frame -> rotation x + translation in another."""

    rotation: Float[Array, "3 3"] = field(default_factory=lambda: np.eye(3))
    translation: Float[Array, " 3"] = field(default_factory=lambda: np.zeros(3))  # m

    def __matmul__(self, other: Rigid) -> Rigid:
        """First `other`, then this."""
        return Rigid(self.rotation @ other.rotation, self.rotation @ other.translation + self.translation)

    @property
    def inverse(self) -> Rigid:
        """The way back."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.translation)

    def __call__(self, points: Floats) -> Floats:
        """Points [...,3] m in the other frame."""
        moved: Floats = points @ self.rotation.T + self.translation
        return moved

    def towards(self, other: Rigid, share: float) -> Rigid:
        """Between this (`share` 0) and `other` (1): straight in translation, steady about one axis in rotation."""
        step = fraction_of_rotation(self.rotation.T @ other.rotation, share)
        shift = share * (other.translation - self.translation)
        return Rigid(self.rotation @ step, self.translation + shift)


def moved_hypotheses(several: Hypotheses | None, transform: Rigid) -> Hypotheses | None:
    """Hypotheses in another frame."""
    if several is None:
        return None
    rotations = several.rotations.copy()
    rotations[:, 0] = transform.rotation @ rotations[:, 0]
    return replace(several, joints=transform(several.joints), rotations=rotations)
