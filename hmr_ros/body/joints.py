"""Joint tables: SMPL's kinematic tree and BlazePose's landmarks, every index named once."""

from __future__ import annotations

import numpy as np

SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])


def _levels() -> list[list[int]]:
    depth = [0] * len(SMPL_PARENTS)
    for joint in range(1, len(SMPL_PARENTS)):
        depth[joint] = depth[SMPL_PARENTS[joint]] + 1
    return [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


# joints by depth in the tree, the pelvis first: a whole level can be turned at once
SMPL_LEVELS = _levels()
SMPL = {name: i for i, name in enumerate(SMPL_JOINTS)}

BLAZEPOSE_LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
BLAZEPOSE = {name: i for i, name in enumerate(BLAZEPOSE_LANDMARKS)}


def _other_side(name: str) -> str:
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")


BLAZEPOSE_MIRRORED = np.array([BLAZEPOSE[_other_side(name)] for name in BLAZEPOSE_LANDMARKS])
SMPL_MIRRORED = np.array([SMPL[_other_side(name)] for name in SMPL_JOINTS])

# The 12 limb joints that both tables share: what is compared, fitted and scored.
LIMB_JOINTS = (
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
SMPL_LIMBS = np.array([SMPL[n] for n in LIMB_JOINTS])
BLAZEPOSE_LIMBS = np.array([BLAZEPOSE[n] for n in LIMB_JOINTS])

# Joints whose errors are alike, for scale factors and tables.
_GROUPS = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_hip", "right_hip", "left_collar", "right_collar"),
    "head": ("neck", "head"),
    "shoulders": ("left_shoulder", "right_shoulder"),
    "elbows": ("left_elbow", "right_elbow"),
    "hands": ("left_wrist", "right_wrist", "left_hand", "right_hand"),
    "knees": ("left_knee", "right_knee"),
    "feet": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
}
JOINT_GROUPS = {name: np.array([SMPL[joint] for joint in joints]) for name, joints in _GROUPS.items()}

# Bones whose length is measured on the landmarks to find the shape (names exist in both tables).
MEASURED_BONES = (
    ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
    ("left_hip", "left_knee"), ("right_hip", "right_knee"),
    ("left_knee", "left_ankle"), ("right_knee", "right_ankle"),
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
)  # fmt: skip
MEASURED_BONES_SMPL = np.array([[SMPL[a], SMPL[b]] for a, b in MEASURED_BONES])
MEASURED_BONES_BLAZEPOSE = np.array([[BLAZEPOSE[a], BLAZEPOSE[b]] for a, b in MEASURED_BONES])

# Bones whose directions are observed, first the left side's, then the right's, then those across.
DIRECTED_BONES = (
    *[(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in
      (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("hip", "shoulder"))],
    *[(f"left_{joint}", f"right_{joint}") for joint in ("shoulder", "hip")],
)  # fmt: skip
DIRECTED_BONES_SMPL = np.array([[SMPL[a], SMPL[b]] for a, b in DIRECTED_BONES])
DIRECTED_BONES_BLAZEPOSE = np.array([[BLAZEPOSE[a], BLAZEPOSE[b]] for a, b in DIRECTED_BONES])
