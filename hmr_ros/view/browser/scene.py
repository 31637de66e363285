"""People as a 3D viewer wants them: bones of a skinned mesh and lines, in a world with z up whose floor is z = 0."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Floats, Human

_FEET = [SMPL["left_foot"], SMPL["right_foot"]]
_REMEMBERED = 300  # frames of one person that tell where the floor is
_LOWEST = 0.1  # of the feet's heights: jumps and wrong frames lie on either side
_CAMERA_HEIGHT_M = 1.2  # until somebody was seen


@dataclass(frozen=True)
class Bones:
    """Where the 24 parts of a body are in the world: rotations [24,3,3] from the T-pose's axes, joints [24,3] m."""

    rotations: Floats
    positions: Floats


@dataclass(frozen=True)
class RestShape:
    """A body at rest: vertices [V,3] m and joints [24,3] m."""

    vertices: Floats
    joints: Floats


def bones_of(human: Human, body: BodyModel, to_world: Rigid, betas: Floats | None = None) -> Bones:
    """Bones of a person whose mesh at rest is `rest_shape` of `betas` (None: the person's own); the pelvis stays."""
    rest = body.rest_joints(human.betas if betas is None else betas)
    world, posed = forward_kinematics(pose_matrices(human.global_orient, human.body_pose), rest)
    return Bones(to_world.rotation @ world, to_world(posed - posed[0] + human.joints[0]))


def rest_shape(body: BodyModel, betas: Floats) -> RestShape:
    """The T-pose; correctives of the pose, which few SMPL files have, are no part of a skinned mesh."""
    return RestShape(body.v_template + body.shapedirs @ betas, body.rest_joints(betas))


def four_weights(weights: Floats) -> Floats:
    """Skin weights [V,24] of which each vertex keeps its four largest, as browsers skin; rows sum to one."""
    fifth = np.sort(weights, axis=1)[:, -5:-4]
    kept = np.where(weights > fifth, weights, 0.0)
    return np.asarray(kept / kept.sum(1, keepdims=True))


def sigma_axes(human: Human, to_world: Rigid) -> Floats:
    """Lines [72,2,3] m in the world: of each joint the three axes of the ellipsoid of one standard deviation."""
    values, axes = np.linalg.eigh(unpacked(human.joint_covariance))
    half = np.swapaxes(axes * np.sqrt(np.maximum(values, 0))[:, None, :], 1, 2)  # [24,3 axes,3]
    ends = np.stack([human.joints[:, None] - half, human.joints[:, None] + half], 2)
    return to_world(ends.reshape(-1, 2, 3))


class Floor:
    """Where the floor is: as deep under the camera as the feet of everybody who was seen lately."""

    def __init__(self, body: BodyModel) -> None:
        self._body = body
        self._depths: deque[float] = deque(maxlen=_REMEMBERED)

    def observe(self, humans: list[Human], rotation: Floats) -> None:
        """Learn from people in the camera's frame; `rotation` takes it to the world's axes."""
        for human in humans:
            lowest = float((human.joints[_FEET] @ rotation.T)[:, 2].min())
            if np.isfinite(lowest):
                self._depths.append(lowest - self._sole(human.betas))

    @property
    def camera_height_m(self) -> float:
        """Of the camera over the floor."""
        return -float(np.quantile(self._depths, _LOWEST)) if self._depths else _CAMERA_HEIGHT_M

    def _sole(self, betas: Floats) -> float:
        """Height m of the foot's joint over the ground that somebody stands on."""
        rest = rest_shape(self._body, betas)
        return float(rest.joints[_FEET, 1].min() - rest.vertices[:, 1].min())
