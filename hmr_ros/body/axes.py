"""A person's own axes as in REP-103 (x forward, y left, z up), from SMPL's (x left, y up, z forward)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.joints import SMPL, SMPL_LEVELS, SMPL_PARENTS
from hmr_ros.body.model import pose_matrices
from hmr_ros.geometry.covariance import turned
from hmr_ros.geometry.rigid import Rigid, moved_hypotheses
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Floats, Human, PelvisState

SMPL_FROM_BODY = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # columns: forward, left, up
_HIPS = [SMPL["left_hip"], SMPL["right_hip"]]


def between_hips(human: Human) -> Floats:
    """Origin [3] m of the person's frame."""
    centre: Floats = human.joints[_HIPS].mean(0)
    return centre


def body_rotation(human: Human) -> Floats:
    """The person's axes [3,3] in the frame of `human.joints`."""
    rotation: Floats = matrix_from_axis_angle(human.global_orient) @ SMPL_FROM_BODY
    return rotation


def pelvis_pose(human: Human) -> tuple[Floats, Floats]:
    """Axes [3,3] and origin [3] m of the person's frame: as followed over time, else of this frame alone."""
    state = human.pelvis
    return (state.rotation, state.position) if state else (body_rotation(human), between_hips(human))


def joint_rotations(human: Human) -> Floats:
    """Axes [24,3,3] of all joints in the frame of `human.joints`; those of the standing T-pose are the person's."""
    world = pose_matrices(human.global_orient, human.body_pose)
    for level in SMPL_LEVELS[1:]:
        world[level] = world[SMPL_PARENTS[level]] @ world[level]
    turned: Floats = world @ SMPL_FROM_BODY
    return turned


def moved(human: Human, transform: Rigid) -> Human:
    """The person in another frame; what is in pixels stays."""
    rest = human.joints[0] - human.transl  # the pelvis before the body is moved
    joints = transform(human.joints)
    orient = axis_angle_from_matrix(transform.rotation @ matrix_from_axis_angle(human.global_orient))
    return replace(
        human, global_orient=orient, joints=joints, transl=joints[0] - rest,
        joint_covariance=turned(human.joint_covariance, transform.rotation),
        hypotheses=moved_hypotheses(human.hypotheses, transform), pelvis=_moved_pelvis(human.pelvis, transform),
    )  # fmt: skip


def _moved_pelvis(state: PelvisState | None, transform: Rigid) -> PelvisState | None:
    if state is None:
        return None
    turn = np.kron(np.eye(2), transform.rotation)  # of a position and a rotation, or of both speeds
    return PelvisState(
        transform(state.position), transform.rotation @ state.rotation, turn @ state.velocity,
        turn @ state.pose_covariance @ turn.T, turn @ state.velocity_covariance @ turn.T,
    )  # fmt: skip
