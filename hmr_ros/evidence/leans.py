"""How bones lean, from where the image shows it to the axes of a camera aimed at the person."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, DIRECTED_BONES_BLAZEPOSE, LIMB_JOINTS
from hmr_ros.types import Floats, LimbsSeen

_SIDES = {
    group: tuple(np.array([LIMB_JOINTS.index(f"{side}_{joint}") for joint in joints]) for side in ("left", "right"))
    for group, joints in {"legs": ("knee", "ankle"), "arms": ("elbow", "wrist")}.items()
}
_SHORTEST = 1e-6


def aimed_leans(limbs: LimbsSeen | None, keypoints: Floats, plane: Floats) -> Floats | None:
    """Sine of each directed bone's angle to the aimed camera's image plane (positive: away), and its sigma: [12,2].

    `keypoints` [33,3] px as the tracker tells left from right, `plane` [33,2] the same on the plane z = 1 of the aimed
    camera. None where `limbs` is, or where the limb network took one side for the other.
    """
    if limbs is None or _crossed(limbs.points_2d, keypoints[BLAZEPOSE_LIMBS, :2]):
        return None
    ends = np.concatenate([plane, np.ones((len(plane), 1))], 1)[DIRECTED_BONES_BLAZEPOSE]  # [12,2,3]
    sight = ends.sum(1) / np.linalg.norm(ends.sum(1), axis=-1, keepdims=True)
    across = ends[:, 1] - ends[:, 0]
    across = across - (across * sight).sum(-1, keepdims=True) * sight
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), _SHORTEST)
    # a lean is told along the line of sight; the rest of a bone's direction is what the image shows of it
    sines = limbs.sines * sight[:, 2] + np.sqrt(np.maximum(1.0 - limbs.sines**2, 0.0)) * across[:, 2]
    return np.stack([sines, limbs.sigma], -1)


def _crossed(points: Floats, landmarks: Floats) -> bool:
    """Whether arms or legs of `points` [12,2] lie on those of the other side of `landmarks` [12,2]."""
    for left, right in _SIDES.values():
        both, other = np.r_[left, right], np.r_[right, left]
        straight = np.linalg.norm(points[both] - landmarks[both], axis=-1).sum()
        if np.linalg.norm(points[both] - landmarks[other], axis=-1).sum() < straight:
            return True
    return False
