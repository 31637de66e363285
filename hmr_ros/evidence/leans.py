"""How bones lean, from where the image shows it to the axes of a camera aimed at the person."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, DIRECTED_BONES, DIRECTED_BONES_BLAZEPOSE, LIMB_JOINTS
from hmr_ros.types import Floats, Ints, LimbsSeen

_GROUPS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))  # as the tracker tells left from right
_CROSSED = 0.7  # of the distance to the own side; in profile both sides lie on each other, and neither is the wrong one
_SHORTEST = 1e-6


def _rows(parts: tuple[str, ...]) -> tuple[Ints, Ints, Ints]:
    """Limb joints of the left side and of the right, and the bones that end at one of them."""
    left, right = (np.array([LIMB_JOINTS.index(f"{side}_{part}") for part in parts]) for side in ("left", "right"))
    return left, right, np.array([i for i, ends in enumerate(DIRECTED_BONES) if any(e.endswith(parts) for e in ends)])


_SIDES = tuple(_rows(parts) for parts in _GROUPS)


def aimed_leans(limbs: LimbsSeen | None, keypoints: Floats, plane: Floats) -> Floats | None:
    """Sine of each directed bone's angle to the aimed camera's image plane (positive: away), and its sigma: [12,2].

    `keypoints` [33,3] px as the tracker tells left from right, `plane` [33,2] the same on the plane z = 1 of the aimed
    camera. Sigma is infinite where the limb network took one side for the other; None where `limbs` is.
    """
    if limbs is None:
        return None
    ends = np.concatenate([plane, np.ones((len(plane), 1))], 1)[DIRECTED_BONES_BLAZEPOSE]  # [12,2,3]
    sight = ends.sum(1) / np.linalg.norm(ends.sum(1), axis=-1, keepdims=True)
    across = ends[:, 1] - ends[:, 0]
    across = across - (across * sight).sum(-1, keepdims=True) * sight
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), _SHORTEST)
    # a lean is told along the line of sight; the rest of a bone's direction is what the image shows of it
    sines = limbs.sines * sight[:, 2] + np.sqrt(np.maximum(1.0 - limbs.sines**2, 0.0)) * across[:, 2]
    sigma = np.where(_crossed(limbs.points_2d, keypoints[BLAZEPOSE_LIMBS, :2]), np.inf, limbs.sigma)
    return np.stack([sines, sigma], -1)


def _crossed(points: Floats, landmarks: Floats) -> Floats:
    """[12] which bones belong to arms or legs of `points` [12,2] that lie on the other side's of `landmarks` [12,2]."""
    found = np.zeros(len(DIRECTED_BONES), bool)
    for left, right, bones in _SIDES:
        both, other = np.r_[left, right], np.r_[right, left]
        straight, swapped = (np.linalg.norm(points[both] - landmarks[k], axis=-1).sum() for k in (both, other))
        found[bones] |= swapped < _CROSSED * straight
    return found
