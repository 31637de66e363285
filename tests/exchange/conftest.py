"""People as the pipeline gives them, made from SMPL poses in a world whose y is up, seen by a camera that is level."""

import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from hmr_ros.exchange.motion import camera_axes, pose_of
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Human, TrackingState

sys.path.insert(0, str(Path(__file__).parent))  # for poses and the readers
from poses import CAMERA_FROM_Y_UP


@pytest.fixture(scope="session")
def person(open_body):
    """Makes a `Human` from a pose [72] in the world with y up."""

    def make(pose, *, pelvis=(3.0, 0.9, 0.0), betas=0.0, track_id=0, box=(0.0, 0.0, 100.0, 200.0), **given):
        betas = np.full(10, betas) * (np.arange(10) < 3)
        root = CAMERA_FROM_Y_UP @ matrix_from_axis_angle(pose[:3])
        orient, rest = axis_angle_from_matrix(root), open_body.rest_joints(betas)
        transl = CAMERA_FROM_Y_UP @ np.array(pelvis) - rest[0]
        joints = open_body.joints(orient, pose[3:], betas, transl)
        fields = {
            "frame": 0, "stamp_ns": 0, "track_id": track_id, "state": TrackingState.TRACKED, "score": 0.9,
            "boxes_xyxy": np.array(box), "keypoints_2d": np.zeros((33, 3)), "global_orient": orient,
            "body_pose": pose[3:].copy(), "betas": betas, "transl": transl, "joints": joints,
            "joints_2d": np.zeros((24, 2)), "joint_covariance": np.zeros((24, 6)), "K": np.eye(3),
            "body_model": open_body.name,
        }  # fmt: skip
        return Human(**{**fields, **given})

    return make


@pytest.fixture(scope="session")
def pose_made(person):
    """Makes a `BodyPose` likewise."""

    def make(pose, **given):
        human = person(pose, **given)
        return pose_of(human, camera_axes(human, np.eye(3)))

    return make


@pytest.fixture
def port():
    """A TCP port of this machine that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
