"""Whether two looks show one body: compared by their landmarks, boxes and crops."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, BLAZEPOSE_MIRRORED
from hmr_ros.perception.detector import BODY_SCALE
from hmr_ros.perception.occlusion import hidden
from hmr_ros.types import Floats, Frame, Keypoints, Roi

_SAME_BODY = 0.15  # mean landmark distance, as a share of the crop's side, below which two bodies are one
_COVERED = 0.6  # share of a new person's box inside a known person's that makes it a part of that person
_TRUNCATED = 1.5  # crop sides per image side from which a person is near and largely out of sight
_MARGIN = 0.05  # crop sides around landmarks, for flesh and hair
_SEEN = 0.5  # confidence from which a landmark counts as seen
_LARGER = 2.2  # times the size of a new person from which a body that holds theirs owns them
_ON_JOINT = 0.06  # crop sides within which a joint lies on a known person's
_EXPLAINED = 0.5  # share of such joints from which a new person is made up of known ones
_ON_KNOWN = 0.4  # share of the joints that are seen, on a person so near that a part of them may look like another
_OTHER_SIDE = np.array(BLAZEPOSE_MIRRORED)[BLAZEPOSE_LIMBS]
_OUTLINE = np.r_[BLAZEPOSE["nose"], BLAZEPOSE_LIMBS]


def same_body(a: Keypoints, b: Keypoints) -> bool:
    """Whether two sets of landmarks lie on one person."""
    size = min(a.next_roi.size_px, b.next_roi.size_px)
    distance = np.linalg.norm(a.keypoints_2d[_OUTLINE, :2] - b.keypoints_2d[_OUTLINE, :2], axis=-1)
    return float(np.median(distance)) < _SAME_BODY * size


def covers(known: Keypoints, other: Keypoints, frame: Frame, near_only: bool = False) -> bool:
    """Whether `other` is made up of parts of a known person.

    Of a person so near that most of the body is out of sight, the networks tend to see a second, smaller one;
    `near_only` asks for that case alone, which holds at any time and not only for new people; then a good part of
    `other` lies on the known body too, and not merely in its box.
    """
    height, width = frame.image.shape[:2]
    a, b = box(known, width, height), box(other, width, height)
    common = _common(a, b)
    sides = known.next_roi.size_px, other.next_roi.size_px
    if sides[0] > _TRUNCATED * min(height, width) and sides[0] > 1.2 * sides[1]:
        part = bool(common > 0.3 * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])))
        return part and (not near_only or _on(known, other))
    return not near_only and bool(common > _COVERED * np.prod(np.maximum(b[2:] - b[:2], 1)))


def is_explained(new: Keypoints, known: list[Keypoints], frame: Frame) -> bool:
    """Whether somebody new is made up of people who are known: of one so near that only parts are seen, as a small body
    within a larger one, or because the joints lie on theirs, left or right, one's or several people's."""
    if any(same_body(k, new) or covers(k, new, frame, near_only=True) for k in known):
        return True
    if any(_LARGER * new.next_roi.size_px < k.next_roi.size_px and covers(k, new, frame) for k in known):
        return True
    if not known:
        return False
    limbs = new.keypoints_2d[BLAZEPOSE_LIMBS]
    rows = limbs[:, 2] > _SEEN if (limbs[:, 2] > _SEEN).sum() >= 4 else np.ones(len(limbs), np.bool_)
    near = np.zeros(len(limbs), np.bool_)
    for body in known:
        for names in (BLAZEPOSE_LIMBS, _OTHER_SIDE):
            apart = np.linalg.norm(limbs[:, :2] - body.keypoints_2d[names, :2], axis=-1)
            near |= apart < _ON_JOINT * min(new.next_roi.size_px, body.next_roi.size_px)
    return float(near[rows].mean()) > _EXPLAINED


def _on(known: Keypoints, new: Keypoints) -> bool:
    """Whether a good part of somebody is seen where a known person's body is."""
    inside = hidden(new, [known])[BLAZEPOSE_LIMBS]
    seen = new.keypoints_2d[BLAZEPOSE_LIMBS, 2] > _SEEN
    return float(inside[seen].mean() if seen.sum() >= 4 else 1.0) > _ON_KNOWN


def overlap(a: Keypoints, b: Keypoints, frame: Frame) -> float:
    """Share of the box of `a` that lies in that of `b`."""
    height, width = frame.image.shape[:2]
    own = box(a, width, height)
    return _common(own, box(b, width, height)) / max(float(np.prod(own[2:] - own[:2])), 1.0)


def meet(body: Keypoints, last: Keypoints, roi: Roi) -> bool:
    """Whether a body may be before somebody who is expected in `roi`, and who looked like `last`."""
    shift = roi.center_px - last.next_roi.center_px
    a, b = (k.keypoints_2d[:, :2] for k in (body, last))
    low, high = np.maximum(a.min(0), b.min(0) + shift), np.minimum(a.max(0), b.max(0) + shift)
    margin = _MARGIN * min(body.next_roi.size_px, roi.size_px)
    return bool((high - low > -margin).all())


def _common(a: Floats, b: Floats) -> float:
    """Area px^2 that two boxes [4] share."""
    return float(np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)))


def roi_distance(a: Roi, b: Roi) -> float:
    """Distance of the centres in sides of the smaller square."""
    return float(np.linalg.norm(a.center_px - b.center_px)) / min(a.size_px, b.size_px)


def box(keypoints: Keypoints, width: int, height: int) -> Floats:
    """Box [4] around the visible landmarks with a margin for flesh and hair, clipped to the image."""
    points = keypoints.keypoints_2d
    visible = points[points[:, 2] > 0.3, :2]
    if len(visible) < 2:
        visible = points[:, :2]
    low, high = visible.min(0), visible.max(0)
    margin = 0.05 * keypoints.next_roi.size_px / (2 * BODY_SCALE) * 2
    limit = np.array([width, height]) - 1.0
    return np.concatenate([np.clip(low - margin, 0, limit), np.clip(high + margin, 0, limit)])
