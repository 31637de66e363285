"""How bones lean, from where the image shows it to the axes of a camera aimed at the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, DIRECTED_BONES, DIRECTED_BONES_BLAZEPOSE, LIMB_JOINTS
from hmr_ros.body.landmark_bones import KINDS, bones_of, landmark_end, rebuilt
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.types import Floats, Ints, LimbsSeen

_GROUPS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))  # as the tracker tells left from right
_CROSSED = 0.7  # of the distance to the own side; in profile both sides lie on each other, and neither is the wrong one
_SHORTEST = 1e-6
# what the limb network says of its own error is learned on rendered people, and twice too large on real ones
_SURER, _LEAST_SIGMA = 0.5, 0.1
_FAR = 0.5  # sine of the line of the shoulders from which on one arm is behind the trunk
_SIGMA_LANDMARKS = 0.5  # of the sine of a leaning leg, trunk or line of hips or shoulders, by the world landmarks

NO_LEANS = np.tile([0.0, np.inf], (len(DIRECTED_BONES), 1))  # [12,2] of whom nothing is known


def _rows(parts: tuple[str, ...]) -> tuple[Ints, Ints, Ints]:
    """Limb joints of the left side and of the right, and the bones that end at one of them."""
    left, right = (np.array([LIMB_JOINTS.index(f"{side}_{part}") for part in parts]) for side in ("left", "right"))
    return left, right, np.array([i for i, ends in enumerate(DIRECTED_BONES) if any(e.endswith(parts) for e in ends)])


# kinds of `LANDMARK_BONES` that are turned, and which of `DIRECTED_BONES` they are (the trunk: both its sides)
_TURNED = {
    kind: [i for i, (start, end) in enumerate(DIRECTED_BONES) if (start.split("_")[1], end.split("_")[1]) == joints]
    for kind, joints in {
        "thigh": ("hip", "knee"), "shin": ("knee", "ankle"), "trunk": ("hip", "shoulder"), "hips": ("hip", "hip"),
        "shoulders": ("shoulder", "shoulder"),
    }.items()
}  # fmt: skip
_SHOULDERS = DIRECTED_BONES.index(("left_shoulder", "right_shoulder"))
ARMS = {  # by the sign of the shoulders' lean that has them behind the trunk
    sign: [i for i, (start, end) in enumerate(DIRECTED_BONES)
           if start.startswith(side) and end.startswith(side) and end.endswith(("elbow", "wrist"))]
    for side, sign in (("left", -1.0), ("right", 1.0))
}  # fmt: skip
_SIDES = tuple(_rows(parts) for parts in _GROUPS)


def with_leans(seen: Normalised, limbs: Sequence[LimbsSeen | None], keypoints: Floats) -> Normalised:
    """N people with what the limb network says of them, in their world landmarks too; `keypoints` [N,33,3] px as in
    `aimed_leans`."""
    plane = seen.points[..., :2] * seen.scale[:, None, None]
    leans = known_leans([aimed_leans(*row) for row in zip(limbs, keypoints, plane, strict=True)])
    if leans is None:
        return seen
    points = np.concatenate([seen.points[..., :3], leaning(seen.points[..., 3:], leans)], -1)
    return replace(seen, points=points, leans=leans)


def known_leans(leans: Sequence[Floats | None]) -> Floats | None:
    """Side by side [N,12,2], with an infinite sigma for whom nothing is known; None where that is everybody."""
    if all(row is None for row in leans):
        return None
    return np.array([NO_LEANS if row is None else row for row in leans])


def aimed_leans(limbs: LimbsSeen | None, keypoints: Floats, plane: Floats) -> Floats | None:
    """Sine of each directed bone's angle to the aimed camera's image plane (positive: away), and its sigma: [12,2].

    `keypoints` [33,3] px as the tracker tells left from right, `plane` [33,2] the same on the plane z = 1 of the aimed
    camera. Sigma is infinite where the limb network took one side for the other, and grows without limit the farther an
    arm is behind the trunk; None where `limbs` is.
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
    crossed = _crossed(limbs.points_2d, keypoints[BLAZEPOSE_LIMBS, :2])
    sigma = np.where(crossed, np.inf, np.maximum(_SURER * limbs.sigma, _LEAST_SIGMA))
    for sign, arm in ARMS.items():  # who guesses at what is hidden says the mean: towards the camera
        sigma[arm] /= max(1.0 - max(sign * sines[_SHOULDERS], 0.0) / _FAR, _SHORTEST)
    return np.stack([sines, sigma], -1)


def leaning(landmarks: Floats, leans: Floats) -> Floats:
    """World landmarks [N,33,3] m with trunk and legs turned towards `leans` [N,12,2] as of `aimed_leans`.

    Lengths and directions in the image plane stay, and so do arms: with the limb network's the decoder does no better.
    """
    trust = _SIGMA_LANDMARKS**2 / (_SIGMA_LANDMARKS**2 + leans[..., 1] ** 2)
    bones = {kind: bones_of(landmarks, kind) for kind in KINDS}
    for kind, rows in _TURNED.items():
        shown, share = leans[:, rows, 0], trust[:, rows]
        if kind == "trunk":  # one bone, of which both sides tell
            shown, share = shown.mean(1, keepdims=True), share.mean(1, keepdims=True)
        bones[kind] = _leaned(bones[kind], shown, share)
    return rebuilt(landmarks, bones) + landmark_end(landmarks, "hips")[:, None]


def _leaned(bones: Floats, sines: Floats, trust: Floats) -> Floats:
    """Bones [N,S,3] whose sines have gone by a share of `trust` [N,S] towards `sines` [N,S]; those that point at the
    camera or away from it have no direction to fall to, and stay."""
    length = np.maximum(np.linalg.norm(bones, axis=-1), _SHORTEST)
    flat = np.linalg.norm(bones[..., :2], axis=-1)
    own = bones[..., 2] / length
    sine = np.clip(own + trust * (sines - own), -1.0, 1.0)
    across = bones[..., :2] * (length * np.sqrt(1.0 - sine**2) / np.maximum(flat, _SHORTEST))[..., None]
    leaned = np.concatenate([across, (length * sine)[..., None]], -1)
    return np.where((flat > _SHORTEST)[..., None], leaned, bones)


def _crossed(points: Floats, landmarks: Floats) -> Floats:
    """[12] which bones belong to arms or legs of `points` [12,2] that lie on the other side's of `landmarks` [12,2]."""
    found = np.zeros(len(DIRECTED_BONES), bool)
    for left, right, bones in _SIDES:
        both, other = np.r_[left, right], np.r_[right, left]
        straight, swapped = (np.linalg.norm(points[both] - landmarks[k], axis=-1).sum() for k in (both, other))
        found[bones] |= swapped < _CROSSED * straight
    return found
