"""A person as a robot: the URDF with SMPL's joints, and the joint angles that belong to it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hmr_ros.body.axes import SMPL_FROM_BODY
from hmr_ros.body.joints import SMPL, SMPL_JOINTS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel, pose_matrices
from hmr_ros.body.urdf import joint, numbers
from hmr_ros.types import Floats, Human

_TURNS = (("yaw", "0 0 1"), ("pitch", "0 1 0"), ("roll", "1 0 0"))  # from the parent on, as rpy in URDF
JOINT_NAMES = [f"{joint}_{turn}" for joint in SMPL_JOINTS[1:] for turn, _ in _TURNS]
_ROOT = "body"  # the person's frame on /tf: between the hips, x forward, z up
_RADIUS_M = 0.03


def joint_state(human: Human, stamp: Header, frame: str) -> JointState:
    """Angles of one person at the stamp of a header; its frame_id is the person's frame on /tf."""
    local = pose_matrices(human.global_orient, human.body_pose)[1:]
    turned = SMPL_FROM_BODY.T @ local @ SMPL_FROM_BODY
    angles = Rotation.from_matrix(turned).as_euler("ZYX")  # intrinsic: yaw, pitch, roll
    header = Header(stamp=stamp.stamp, frame_id=frame)
    return JointState(header=header, name=JOINT_NAMES, position=angles.reshape(-1).tolist())


def human_urdf(body: BodyModel, name: str = "human") -> str:
    """URDF of the body's mean shape: three revolute joints for each of SMPL's 23, bones as cylinders."""
    rest = body.rest_joints(np.zeros(10)) @ SMPL_FROM_BODY
    rest = rest - rest[[SMPL["left_hip"], SMPL["right_hip"]]].mean(0)
    lines = ['<?xml version="1.0"?>', f'<robot name="{name}">', f'  <link name="{_ROOT}"/>']
    lines += joint("pelvis_fixed", "fixed", _ROOT, "pelvis", rest[0])
    lines += _link("pelvis", rest, 0)
    for j in range(1, len(SMPL_JOINTS)):
        smpl, parent = SMPL_JOINTS[j], SMPL_JOINTS[SMPL_PARENTS[j]]
        offset = rest[j] - rest[SMPL_PARENTS[j]]
        for turn, axis in _TURNS:
            child = smpl if turn == "roll" else f"{smpl}_after_{turn}"
            lines += joint(f"{smpl}_{turn}", "revolute", parent, child, offset, axis)
            lines += _link(smpl, rest, j) if turn == "roll" else [f'  <link name="{child}"/>']
            parent, offset = child, np.zeros(3)
    return "\n".join([*lines, "</robot>", ""])


def _link(name: str, rest: Floats, j: int) -> list[str]:
    """The joint's link with a cylinder to each of its children."""
    lines = [f'  <link name="{name}">']
    for child in np.flatnonzero(j == SMPL_PARENTS):
        bone = rest[child] - rest[j]
        length = float(np.linalg.norm(bone))
        pitch, yaw = np.arctan2(np.hypot(bone[0], bone[1]), bone[2]), np.arctan2(bone[1], bone[0])
        lines += [
            "    <visual>",
            f'      <origin xyz="{numbers(bone / 2)}" rpy="{numbers(np.array([0.0, pitch, yaw]))}"/>',
            f'      <geometry><cylinder radius="{_RADIUS_M}" length="{length:.4f}"/></geometry>',
            "    </visual>",
        ]
    return [*lines, "  </link>"]
