"""What somebody wears: the colours of trunk and thighs, for telling people apart who meet."""

from __future__ import annotations

import cv2
import numpy as np

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.types import Bools, Floats, Image, Keypoints

_TRUNK = [BLAZEPOSE[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
_THIGHS = [[BLAZEPOSE[f"{side}_{joint}"] for joint in ("hip", "knee")] for side in ("left", "right")]
_SEEN = 0.5  # confidence from which a landmark counts as seen
_LIGHTNESS = 0.5  # weight of lightness against colour: shadows change it
_SCALE = 40.0  # difference of colours (CIELAB) that says nothing for certain
_SHARES = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 5), np.linspace(0.15, 0.85, 6)), -1).reshape(-1, 2)
_LEAST = 6  # pixels that a colour is taken from
_ALONG = np.linspace(0.2, 0.8, 6)[:, None]


def colours(image: Image, keypoints: Keypoints) -> Floats:
    """Median colour [2,3] of trunk and thighs in the BGR image [H,W,3], CIELAB with lightness counted half; NaN where
    they are not seen."""
    points = keypoints.keypoints_2d
    out = np.full((2, 3), np.nan)
    seen = points[:, 2] > _SEEN
    known = seen | _outside(points, image)  # of a part that is cut off by the image, what is in it tells enough
    if known[_TRUNK].all() and seen[_TRUNK].sum() >= 2:
        a, b, c, d = points[_TRUNK, :2]
        u, v = _SHARES[:, :1], _SHARES[:, 1:]
        out[0] = _median(image, (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c))
    thighs = [rows for rows in _THIGHS if known[rows].all() and seen[rows].any()]
    if thighs:
        ends = [points[rows, :2] for rows in thighs]
        out[1] = _median(image, np.concatenate([(1 - _ALONG) * hip + _ALONG * knee for hip, knee in ends]))
    return out


def unlike(a: Floats, b: Floats) -> float:
    """How different two people's colours [2,3] are: 0 = the same, 1 = surely others; 0.5 where nothing compares."""
    apart = np.linalg.norm(a - b, axis=1)
    known = apart[np.isfinite(apart)]
    return float(min(known.max() / _SCALE, 1.0)) if len(known) else 0.5


def _outside(points: Floats, image: Image) -> Bools:
    height, width = image.shape[:2]
    return np.asarray(((points[:, :2] < 0) | (points[:, :2] > [width - 1, height - 1])).any(1))


def _median(image: Image, points: Floats) -> Floats:
    height, width = image.shape[:2]
    x, y = np.round(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.sum() < min(_LEAST, len(inside)):
        return np.full(3, np.nan)
    seen = np.sort(image[y[inside], x[inside]].astype(np.float32), axis=0)  # faster than np.median
    colour = (seen[(len(seen) - 1) // 2] + seen[len(seen) // 2]) / (2 * 255)
    lab = cv2.cvtColor(colour.reshape(1, 1, 3), cv2.COLOR_BGR2LAB).reshape(3).astype(np.float64)
    return np.asarray(lab * [_LIGHTNESS, 1.0, 1.0])
