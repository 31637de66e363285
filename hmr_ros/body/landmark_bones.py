"""BlazePose's 33 landmarks as bones: taken apart, and put together again with other bones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.geometry.rotations import rotations_between
from hmr_ros.types import Floats

# kinds of bones, and which landmarks (or, for the trunk, middles of two) they join
LANDMARK_BONES: dict[str, list[tuple[str, str]]] = {
    "hips": [("left_hip", "right_hip")],
    "trunk": [("hips", "shoulders")],
    "shoulders": [("left_shoulder", "right_shoulder")],
    "upper_arm": [(f"{s}_shoulder", f"{s}_elbow") for s in ("left", "right")],
    "forearm": [(f"{s}_elbow", f"{s}_wrist") for s in ("left", "right")],
    "thigh": [(f"{s}_hip", f"{s}_knee") for s in ("left", "right")],
    "shin": [(f"{s}_knee", f"{s}_ankle") for s in ("left", "right")],
}
KINDS = tuple(LANDMARK_BONES)
_LIMBS = ("upper_arm", "forearm", "thigh", "shin")  # parents first
# what moves and turns with a bone: hands with forearms, feet with shins, the face with the trunk
_CARRIED = {
    f"{side}_{end}": tuple(f"{side}_{part}" for part in parts)
    for side in ("left", "right")
    for end, parts in (("wrist", ("pinky", "index", "thumb")), ("ankle", ("heel", "foot_index")))
}
_FACE = np.arange(BLAZEPOSE["left_shoulder"])  # landmarks before the shoulders


def landmark_end(landmarks: Floats, name: str) -> Floats:
    """A landmark [...,3] of [...,33,3], or the middle of a pair that is named without its side ("hips")."""
    if name in BLAZEPOSE:
        return np.asarray(landmarks[..., BLAZEPOSE[name], :])
    one, other = (landmarks[..., BLAZEPOSE[f"{side}_{name[:-1]}"], :] for side in ("left", "right"))
    return np.asarray((one + other) / 2)


def bones_of(landmarks: Floats, kind: str) -> Floats:
    """Bones [...,S,3] of one kind, left first, of landmarks [...,33,3]."""
    ends = [(landmark_end(landmarks, a), landmark_end(landmarks, b)) for a, b in LANDMARK_BONES[kind]]
    return np.stack([b - a for a, b in ends], -2)


def rebuilt(landmarks: Floats, bones: Mapping[str, Floats]) -> Floats:
    """Landmarks [...,33,3] from the mid hip with other bones: of each kind [...,S,3], as of `bones_of`.

    Hands, feet and face keep their places on forearms, shins and trunk.
    """
    out = np.zeros_like(landmarks)
    half = bones["hips"][..., 0, :] / 2
    out[..., BLAZEPOSE["left_hip"], :], out[..., BLAZEPOSE["right_hip"], :] = -half, half
    middle, half = bones["trunk"][..., 0, :], bones["shoulders"][..., 0, :] / 2
    out[..., BLAZEPOSE["left_shoulder"], :], out[..., BLAZEPOSE["right_shoulder"], :] = middle - half, middle + half
    for kind in _LIMBS:
        for k, (parent, child) in enumerate(LANDMARK_BONES[kind]):
            bone, end = bones[kind][..., k, :], BLAZEPOSE[child]
            out[..., end, :] = out[..., BLAZEPOSE[parent], :] + bone
            carried = [BLAZEPOSE[name] for name in _CARRIED.get(child, ())]
            if carried:
                before = landmarks[..., end, :] - landmarks[..., BLAZEPOSE[parent], :]
                offsets = landmarks[..., carried, :] - landmarks[..., [end], :]
                out[..., carried, :] = out[..., [end], :] + _turned(offsets, before, bone)
    top = landmark_end(landmarks, "shoulders")
    face = landmarks[..., _FACE, :] - top[..., None, :]
    out[..., _FACE, :] = middle[..., None, :] + _turned(face, top - landmark_end(landmarks, "hips"), middle)
    return out


def _turned(offsets: Floats, before: Floats, after: Floats) -> Floats:
    """`offsets` [...,P,3] turned as a bone turns from `before` to `after` [...,3], the shortest way."""
    return np.asarray(offsets @ np.swapaxes(rotations_between(before, after), -1, -2))
