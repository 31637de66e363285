"""People before others: silhouettes of those in front are painted out of what those behind are looked for in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS
from hmr_ros.types import Bools, Floats, Image, Keypoints, Roi

_SIDES = ("left", "right")
_LIMBS_M = (  # ends and half width, with clothes
    ("hip", "knee", 0.09), ("knee", "ankle", 0.065), ("shoulder", "elbow", 0.06), ("elbow", "wrist", 0.05),
    ("wrist", "index", 0.055), ("heel", "foot_index", 0.055),
)  # fmt: skip
_CAPSULES = [(BLAZEPOSE[f"{s}_{a}"], BLAZEPOSE[f"{s}_{b}"], m) for s in _SIDES for a, b, m in _LIMBS_M]
_TRUNK = [BLAZEPOSE[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
_EARS = [BLAZEPOSE[n] for n in ("left_ear", "right_ear")]
_TRUNK_M, _NECK_M, _HEAD_M = 0.08, 0.06, 0.13
_AROUND = 0.75  # crop sides from the middle to where a turned crop can reach
_FILL_PX = 128  # crop side at which what lies behind somebody is made up
_FILL_RADIUS_PX = 3.0
_HIDDEN = 0.35  # confidence that is left of a joint behind somebody: below what counts as seen anywhere
_SEEN = 0.5


def px_per_metre(keypoints: Keypoints) -> float:
    """How large a metre of this person looks: by it the nearer of two is known in any pose."""
    seen = keypoints.keypoints_2d[:, 2] > _SEEN
    rows = np.flatnonzero(seen) if seen.sum() >= 6 else np.arange(len(seen))
    image, body = keypoints.keypoints_2d[rows, :2], keypoints.keypoints_3d[rows, :2]
    image, body = image - image.mean(0), body - body.mean(0)
    return max(float((image * body).sum() / max(float((body**2).sum()), 1e-9)), 1e-3)


def hidden(keypoints: Keypoints, before: list[Keypoints]) -> Bools:
    """Which landmarks [33] lie behind the bodies `before`."""
    points = keypoints.keypoints_2d[:, :2]
    low = np.floor(points.min(0)).astype(int)
    width, height = np.ceil(points.max(0)).astype(int) - low + 1
    mask = _silhouettes(before, low, (int(width), int(height)))
    x, y = (np.round(points).astype(int) - low).T
    return np.asarray(mask[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0)


def doubted(keypoints: Keypoints, behind: Bools) -> Keypoints:
    """The same with little confidence in the landmarks `behind` [33] somebody: their place is a guess."""
    points = keypoints.keypoints_2d.copy()
    points[behind, 2] = np.minimum(points[behind, 2], _HIDDEN)
    return replace(keypoints, keypoints_2d=points)


def shown_share(behind: Bools) -> float:
    """Share of the limb joints that nobody stands before; `behind` [33] as `hidden` gives it."""
    return float(1.0 - behind[BLAZEPOSE_LIMBS].mean())


def painted_out(
    image: Image, bodies: list[Keypoints], roi: Roi, behind: Sequence[Keypoints] = (), own: Keypoints | None = None
) -> Image:
    """The BGR image [H,W,3] as if the `bodies` were not there, and those `behind`, but not where the body `own` should
    be; only around `roi`. The image itself where none of them are."""
    height, width = image.shape[:2]
    low = np.clip(np.floor(roi.center_px - _AROUND * roi.size_px), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(roi.center_px + _AROUND * roi.size_px), 0, [width, height]).astype(int)
    scale = min(1.0, _FILL_PX / roi.size_px)
    if (high - low).min() < max(8, 1 / scale):  # next to nothing of the crop lies in the image
        return image
    size = int(high[0] - low[0]), int(high[1] - low[1])
    mask = _silhouettes(list(behind), low, size)
    if own is not None and mask.any():
        mask[_silhouettes([own], low, size) > 0] = 0
    mask |= _silhouettes(bodies, low, size)
    if not mask.any():
        return image
    out = image.copy()
    part = out[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(mask, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    hole = cv2.dilate(hole, np.ones((3, 3), np.uint8))
    filled = cv2.inpaint(small, hole, _FILL_RADIUS_PX, cv2.INPAINT_TELEA)
    large = cv2.resize(filled, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.copyTo(large, mask, part)
    return out


def _silhouettes(bodies: list[Keypoints], origin: Floats, size: tuple[int, int]) -> Image:
    """Mask [h,w] of the bodies as capsules; `origin` px is its corner in the image, `size` is (w, h)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    for body in bodies:
        scale = px_per_metre(body)
        points = np.clip(body.keypoints_2d[:, :2] - origin, -10_000, 10_000)
        for a, b, metres in _CAPSULES:
            _capsule(mask, points[a], points[b], metres * scale)
        trunk = points[_TRUNK]
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(trunk).astype(np.int32)), 255)
        for a, b in zip(trunk, np.roll(trunk, 1, axis=0), strict=True):
            _capsule(mask, a, b, _TRUNK_M * scale)
        head = points[_EARS].mean(0)
        _capsule(mask, trunk[:2].mean(0), head, _NECK_M * scale)
        _capsule(mask, head, head, _HEAD_M * scale)
    return mask


def _capsule(mask: Image, a: Floats, b: Floats, radius_px: float) -> None:
    ends = [(round(float(x)), round(float(y))) for x, y in (a, b)]
    cv2.line(mask, ends[0], ends[1], 255, int(np.clip(round(2 * radius_px), 1, 32_000)))
