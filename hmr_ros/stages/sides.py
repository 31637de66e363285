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
_JUMP = 0.05  # mean distance, as a share of the crop's side, below which nothing has happened
_BETTER = 0.5  # swapped landmarks must be this much nearer to the last ones
_PATIENCE_S = 1.0  # after this long the network is believed again
_MAX_GAP_S = 0.2  # over longer gaps a person can really have turned


class SideMemory:
    """Memory of one person. The landmark network judges every picture anew, and where a limb is hidden or the back is
    turned it takes left for right for a few frames; no person can do that."""

    def __init__(self, keypoints: Keypoints) -> None:
        self._last = keypoints
        self._swapped_s = dict.fromkeys(_GROUPS, 0.0)

    def corrected(self, keypoints: Keypoints, dt_s: float) -> Keypoints:
        """The landmarks with each group of limbs on the side where it was `dt_s` seconds ago."""
        if dt_s <= _MAX_GAP_S:
            for name, (left, right) in _INDICES.items():
                if self._looks_swapped(keypoints, left, right) and self._swapped_s[name] < _PATIENCE_S:
                    self._swapped_s[name] += dt_s
                    keypoints = _swap(keypoints, left, right)
                else:
                    self._swapped_s[name] = 0.0
        self._last = keypoints
        return keypoints

    def _looks_swapped(self, now: Keypoints, left: Ints, right: Ints) -> bool:
        both, other = np.r_[left, right], np.r_[right, left]
        before = self._last.keypoints_2d[both, :2]
        size = self._last.next_roi.size_px
        as_is = _distance(now.keypoints_2d[both, :2], before) / size
        swapped = _distance(now.keypoints_2d[other, :2], before) / size
        return as_is > _JUMP and swapped < _BETTER * as_is


_INDICES = {
    name: tuple(np.array([BLAZEPOSE[f"{side}_{part}"] for part in parts]) for side in ("left", "right"))
    for name, parts in _GROUPS.items()
}


def _distance(a: Floats, b: Floats) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())


def _swap(keypoints: Keypoints, left: Ints, right: Ints) -> Keypoints:
    order = np.arange(len(keypoints.keypoints_2d))
    order[left], order[right] = right, left
    return replace(keypoints, keypoints_2d=keypoints.keypoints_2d[order], keypoints_3d=keypoints.keypoints_3d[order])
