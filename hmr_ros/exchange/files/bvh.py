"""BVH, written by pybvh: LAFAN1's joint names, centimetres, y up."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hmr_ros.body.joints import SMPL, SMPL_PARENTS
from hmr_ros.errors import InputError
from hmr_ros.exchange.files.extra import needed
from hmr_ros.exchange.files.tracks import Track
from hmr_ros.io.results import Y_UP
from hmr_ros.types import Floats

# in the order of LAFAN1's files
NAMES = {
    "pelvis": "Hips",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot", "left_foot": "LeftToe",
    "right_hip": "RightUpLeg", "right_knee": "RightLeg", "right_ankle": "RightFoot", "right_foot": "RightToe",
    "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    "left_collar": "LeftShoulder", "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm", "left_wrist": "LeftHand",
    "right_collar": "RightShoulder", "right_shoulder": "RightArm", "right_elbow": "RightForeArm",
    "right_wrist": "RightHand",
}  # fmt: skip
JOINTS = [SMPL[name] for name in NAMES]
_CM = 100.0
_ORDER = "ZYX"
# the axes of LAFAN1's bones in SMPL's T-pose (x left, y up, z forward), columns x (along the bone), y, z
_TRUNK = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # up, forward, left
_LEG = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])  # down, forward, right
_TOE = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])  # forward, up, right
_LEFT_ARM = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # left, back, up
_RIGHT_ARM = np.array([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])  # right, back, down


def write_bvh(track: Track, path: Path, *, lafan1_axes: bool = False) -> None:
    """One skeleton with the rest offsets of the track's shape, rotations as Euler angles Z, Y, X.

    At rest it stands in T-pose facing +z; with `lafan1_axes` the bones have the axes of LAFAN1's files instead (x along
    the bone, all bones in line at rest), which retargeting tables for those files count on.
    """
    pybvh = needed("pybvh", "BVH")
    axes = _lafan1_axes(track) if lafan1_axes else np.broadcast_to(np.eye(3), (24, 3, 3))
    parents = np.maximum(SMPL_PARENTS, 0)
    local = np.swapaxes(axes[parents], -1, -2) @ track.rotations @ axes
    local[:, 0] = Y_UP @ track.rotations[:, 0] @ axes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the axes of two angles meet any of them is as good
        angles = Rotation.from_matrix(local[:, JOINTS].reshape(-1, 3, 3)).as_euler(_ORDER)
    angles = np.unwrap(angles.reshape(len(local), len(JOINTS), 3), axis=0)
    motion = pybvh.Bvh(
        _nodes(track, axes), _CM * track.root @ Y_UP.T, angles, frame_time=1 / track.fps, world_up="+y"
    )  # fmt: skip
    partial = path.with_name(f".{path.stem}.{os.getpid()}.bvh")
    try:
        motion.write(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; check folder and disk space") from error


def _nodes(track: Track, axes: Floats) -> list[Any]:
    """pybvh's nodes in the order of `NAMES`, tips included."""
    from pybvh import bvhnode

    bones = track.body.bones(track.betas)
    tips = _tips(track)
    made: dict[int, Any] = {}
    nodes: list[Any] = []
    for joint, name in zip(JOINTS, NAMES.values(), strict=True):
        parent = int(SMPL_PARENTS[joint])
        if parent < 0:
            node = bvhnode.BvhRoot(name, np.zeros(3), list("XYZ"), list(_ORDER))
        else:
            offset = _CM * axes[parent].T @ bones[joint]
            node = bvhnode.BvhJoint(name, offset, list(_ORDER), [], made[parent])
            made[parent].children = [*made[parent].children, node]
        made[joint] = node
        nodes.append(node)
        if joint in tips:
            tip = bvhnode.BvhEndSite(f"EndSite{name}", _CM * axes[joint].T @ tips[joint], node)
            node.children = [tip]
            nodes.append(tip)
    return nodes


def _tips(track: Track) -> dict[int, Floats]:
    """Where the last bones end, in the T-pose from their joint [3] m: toes, crown, hands."""
    rest, bones = track.rest, track.body.bones(track.betas)
    shaped = track.body.v_template + track.body.shapedirs @ track.betas
    head, left, right = SMPL["head"], SMPL["left_foot"], SMPL["right_foot"]
    foremost = np.array([0.0, 0.0, shaped[:, 2].max() - rest[left, 2]])
    crown = np.array([0.0, shaped[:, 1].max() - rest[head, 1], 0.0])
    hands = {SMPL[f"{side}_wrist"]: bones[SMPL[f"{side}_hand"]] for side in ("left", "right")}
    return {left: foremost, right: foremost, head: crown, **hands}


def _lafan1_axes(track: Track) -> Floats:
    """[24,3,3] LAFAN1's bone axes in SMPL's T-pose."""
    axes = np.empty((24, 3, 3))
    axes[:] = _TRUNK
    bones = track.body.bones(track.betas)
    for side, arm in (("left", _LEFT_ARM), ("right", _RIGHT_ARM)):
        axes[[SMPL[f"{side}_{j}"] for j in ("hip", "knee")]] = _LEG
        axes[SMPL[f"{side}_foot"]] = _TOE
        axes[[SMPL[f"{side}_{j}"] for j in ("collar", "shoulder", "elbow", "wrist", "hand")]] = arm
        along = bones[SMPL[f"{side}_foot"]] * [0.0, 1.0, 1.0]
        x = along / np.linalg.norm(along)
        axes[SMPL[f"{side}_ankle"]] = np.stack([x, np.cross(_TOE[:, 2], x), _TOE[:, 2]], -1)
    return axes
