"""One person over time in the world, and back: what gravity, floor and feet are worked out on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.types import Camera, Floats, Human, Hypotheses
from hmr_ros.world.feet import Soles
from hmr_ros.world.legs import LEGS

_LEG_JOINTS = np.array(LEGS).reshape(-1)


@dataclass(frozen=True)
class Walk:
    """One person in F frames; positions in world axes (z up), from a camera that stands still, or from the world's
    origin where it moves."""

    seconds: Floats  # [F]
    rotations: Floats  # [F,24,3,3] local, the first body -> world
    betas: Floats  # [F,10]
    pelvis: Floats  # [F,3] m
    axes: Floats  # [F,24,3,3] of the bones, in the world
    joints: Floats  # [F,24,3] m
    points: Floats  # [F,4,3] m, of the soles
    eyes: Floats  # [F,3] m, of the camera; zero where positions are from it

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def sight(self) -> Floats:
        """[F,3] m from the camera to the pelvis."""
        return self.pelvis - self.eyes


def walk_of(humans: list[Human], R: Floats, soles: Soles, eyes: Floats | None = None) -> Walk:
    """The frames of one person, in order, with the camera's axes turned by R [F,3,3] into the world; `eyes` [F,3] m are
    where a moving camera is."""
    eyes = np.zeros((len(humans), 3)) if eyes is None else eyes
    rotations = pose_matrices(np.array([h.global_orient for h in humans]), np.array([h.body_pose for h in humans]))
    rotations[:, 0] = R @ rotations[:, 0]
    pelvis = np.einsum("fab,fb->fa", R, np.array([h.joints[0] for h in humans])) + eyes
    seconds = np.array([h.stamp_ns for h in humans]) * 1e-9
    return _posed(soles, seconds, rotations, np.array([h.betas for h in humans]), pelvis, eyes)


def changed(
    walk: Walk, soles: Soles, *, rotations: Floats | None = None, betas: Floats | None = None,
    pelvis: Floats | None = None,
) -> Walk:  # fmt: skip
    """The walk with other local rotations [F,24,3,3], shapes [F,10] or pelvis [F,3] m, and all that follows from them;
    what is not given stays."""
    return _posed(
        soles, walk.seconds, walk.rotations if rotations is None else rotations, walk.betas if betas is None else betas,
        walk.pelvis if pelvis is None else pelvis, walk.eyes,
    )  # fmt: skip


def _posed(soles: Soles, seconds: Floats, rotations: Floats, betas: Floats, pelvis: Floats, eyes: Floats) -> Walk:
    rest = soles.body.rest_joints(betas)
    axes, joints = forward_kinematics(rotations, rest)
    joints = joints - joints[:, :1] + pelvis[:, None]
    return Walk(seconds, rotations, betas, pelvis, axes, joints, soles.placed(axes, joints, betas), eyes)


def human_at(human: Human, walk: Walk, row: int, R: Floats, body: BodyModel, camera: Camera) -> Human:
    """`human` as it is in frame `row` of the walk, whose legs, place and shape may be others; R [3,3] as in `walk_of`,
    `camera` that of the image. What is said about the joints grows with the body."""
    joints, betas = (walk.joints[row] - walk.eyes[row]) @ R, walk.betas[row]
    body_pose = human.body_pose.reshape(-1, 3).copy()
    body_pose[_LEG_JOINTS - 1] = axis_angle_from_matrix(walk.rotations[row, _LEG_JOINTS])
    before, now = size_of(body, np.array([human.betas, betas]))
    rest = body.rest_joints(betas)
    return replace(
        human, betas=betas, body_pose=body_pose.reshape(-1), joints=joints, transl=joints[0] - rest[0],
        joints_2d=distort_points(project(joints, camera.K), camera),
        joint_covariance=(now / before) ** 2 * human.joint_covariance,
        hypotheses=_of_body(human.hypotheses, rest, joints[0]),
    )  # fmt: skip


def size_of(body: BodyModel, betas: Floats) -> Floats:
    """[F] m, root mean square distance of the limb joints from their middle, at rest."""
    joints = body.rest_joints(betas)[:, SMPL_LIMBS]
    return np.asarray(np.sqrt(np.square(joints - joints.mean(1, keepdims=True)).sum(2).mean(1)))


def _of_body(found: Hypotheses | None, rest: Floats, pelvis: Floats) -> Hypotheses | None:
    """The same poses of a body that has the joints `rest` [24,3] m at rest, its pelvis at `pelvis` [3] m."""
    if found is None:
        return None
    joints = forward_kinematics(found.rotations, np.broadcast_to(rest, found.joints.shape))[1]
    return replace(found, joints=joints - joints[:, :1] + pelvis)
