"""Left stays left: landmarks whose sides change places from one frame to the next are put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.types import Floats, Ints, Keypoints

_GROUPS = {
    "legs": ("hip", "knee", "ankle", "heel", "foot_index"),
    "arms": ("shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
}
SIDES = {  # landmarks of the left and of the right limbs
    name: tuple(np.array([BLAZEPOSE[f"{side}_{part}"] for part in parts]) for side in ("left", "right"))
    for name, parts in _GROUPS.items()
}
_STATES = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])  # whether legs, arms are the wrong way round
# costs are lengths in crop sides, or such lengths a second
_FARTHEST = 0.3  # of a jump: what is farther off is no nearer to one side than to the other
_DISBELIEF = 0.2  # a second and group that the network shall have been wrong
_TWISTED = 0.3  # a second, for hips and shoulders that face opposite ways
_FIRST_S = 0.5  # so long the first image counts
_MAX_GAP_S = 0.2  # over longer gaps a person can really have turned


class SideMemory:
    """Memory of one person. The landmark network judges every image anew, and where a limb is hidden or the back is
    turned it takes left for right for a few frames; no person can do that.

    Which groups of limbs are the wrong way round is the cheapest path so far through four states a frame (Viterbi):
    jumps cost their length, disbelief and a twisted body cost time. So a wide body that turns round between two frames
    is put back for a second or two, and legs that only crossed are not held the wrong way.
    """

    def __init__(self, keypoints: Keypoints) -> None:
        self._last = keypoints  # as the network said
        self._costs = _FIRST_S * _rates(keypoints)

    def corrected(self, keypoints: Keypoints, dt_s: float) -> Keypoints:
        """The landmarks, `dt_s` seconds after the last ones, with each group of limbs on the side where it was."""
        came = self._costs[:, None] + self._jumps(keypoints) if dt_s <= _MAX_GAP_S else np.zeros((4, 4))
        self._costs = came.min(0) + dt_s * _rates(keypoints)
        self._costs -= self._costs.min()
        self._last = keypoints
        for swapped, name in zip(_STATES[self._costs.argmin()], _GROUPS, strict=True):
            if swapped:
                keypoints = _swap(keypoints, *SIDES[name])
        return keypoints

    def _jumps(self, now: Keypoints) -> Floats:
        """[4,4] from a state of the last frame to one of this: mean distance of the landmarks, both groups together."""
        change = _STATES[:, None] ^ _STATES
        total = np.zeros(change.shape[:2])
        for k, name in enumerate(SIDES):
            lengths = side_distances(now.keypoints_2d[:, :2], self._last.keypoints_2d[:, :2], name)
            total += np.minimum(lengths / self._last.next_roi.size_px, _FARTHEST)[change[..., k]]
        return total


def side_distances(points: Floats, others: Floats, name: str) -> Floats:
    """Mean distance of the limbs `name` of two sets of landmarks [33,2]: [as they are, with the sides changed]."""
    left, right = SIDES[name]
    there = others[np.r_[left, right]]
    return np.array([np.linalg.norm(points[np.r_[p]] - there, axis=-1).mean() for p in ((left, right), (right, left))])


def _rates(keypoints: Keypoints) -> Floats:
    """[4] what each state costs a second; hips and shoulders face opposite ways by 0..1."""
    across = [keypoints.keypoints_3d[left[0]] - keypoints.keypoints_3d[right[0]] for left, right in SIDES.values()]
    lengths = np.linalg.norm(across[0]) * np.linalg.norm(across[1])
    cosine = float(across[0] @ across[1]) / max(float(lengths), 1e-9)
    twist = 0.5 - 0.5 * cosine * (-1.0) ** (_STATES[:, 0] ^ _STATES[:, 1])
    return _DISBELIEF * _STATES.sum(1) + _TWISTED * twist


def _swap(keypoints: Keypoints, left: Ints, right: Ints) -> Keypoints:
    order = np.arange(len(keypoints.keypoints_2d))
    order[left], order[right] = right, left
    heat = None if keypoints.heat is None else keypoints.heat[order]
    return replace(
        keypoints, keypoints_2d=keypoints.keypoints_2d[order], keypoints_3d=keypoints.keypoints_3d[order], heat=heat
    )
