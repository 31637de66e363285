"""From MakeHuman's A-pose to SMPL's T-pose: every segment is turned to the direction it has in SMPL's rest pose."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import SMPL, SMPL_PARENTS
from hmr_ros.body.model import NUM_JOINTS
from hmr_ros.geometry.rotations import matrix_from_axis_angle, rotation_between
from hmr_ros.types import Floats

# Rest directions of SMPL's T-pose (child - parent, m) on the left; the right side mirrors x.
SEGMENTS = (
    ("hip", "knee", (0.03, -0.38, -0.005)),
    ("knee", "ankle", (-0.01, -0.40, -0.04)),
    ("shoulder", "elbow", (0.255, -0.015, -0.02)),
    ("elbow", "wrist", (0.25, 0.01, 0.0)),
    ("wrist", "hand", (0.085, -0.01, -0.01)),
)
NECK = np.array([0, 0.09, 0.05])
SPINE_LEAN_RAD = np.radians(5)  # SMPL's trunk leans back
COLLAR_UP_RAD = np.radians(16)  # lifted arms lift the collars
FOOT_YAW_RAD = np.arctan2(0.03, 0.12)  # toes point outwards


def tpose_rotations(joints: Floats) -> Floats:
    """Global rotation [24,3,3] of every segment that takes A-pose joints [24,3] m to the T-pose."""
    turn = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    for name in ("spine1", "spine2", "spine3"):
        turn[SMPL[name]] = matrix_from_axis_angle(np.array([-SPINE_LEAN_RAD, 0, 0]))
    turn[SMPL["neck"]] = rotation_between(joints[SMPL["head"]] - joints[SMPL["neck"]], NECK)  # the head stays level
    for side, sign in (("left", 1.0), ("right", -1.0)):
        collar = SMPL[f"{side}_collar"]
        turn[collar] = matrix_from_axis_angle(np.array([0, 0, sign * COLLAR_UP_RAD])) @ turn[SMPL["spine3"]]
        for start, end, (x, y, z) in SEGMENTS:
            j = SMPL[f"{side}_{start}"]
            carried = turn[SMPL_PARENTS[j]]
            bone = carried @ (joints[SMPL[f"{side}_{end}"]] - joints[j])
            turn[j] = rotation_between(bone, np.array([sign * x, y, z])) @ carried
        turn[SMPL[f"{side}_hand"]] = turn[SMPL[f"{side}_wrist"]]
        foot = joints[SMPL[f"{side}_foot"]] - joints[SMPL[f"{side}_ankle"]]
        yaw = sign * FOOT_YAW_RAD - np.arctan2(foot[0], foot[2])
        turn[SMPL[f"{side}_ankle"]] = turn[SMPL[f"{side}_foot"]] = matrix_from_axis_angle(np.array([0, yaw, 0]))
    return turn


def to_tpose(vertices: Floats, weights: Floats, joints: Floats) -> tuple[Floats, Floats]:
    """A-pose vertices [V,3] m with weights [V,24] and joints [24,3] m -> both in the T-pose, pelvis at the origin."""
    turn = tpose_rotations(joints)
    placed = np.zeros_like(joints)
    for j in range(1, NUM_JOINTS):
        p = SMPL_PARENTS[j]
        placed[j] = placed[p] + turn[p] @ (joints[j] - joints[p])
    offsets = placed - np.einsum("jab,jb->ja", turn, joints)
    blended = np.einsum("vj,jab->vab", weights, turn)
    return np.einsum("vab,vb->va", blended, vertices) + weights @ offsets, placed
