"""People as a 3D viewer wants them: bones of a skinned mesh and lines, in a world with z up whose floor is z = 0."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Floats, Human
from hmr_ros.world.feet import Soles
from hmr_ros.world.floor import floor_under
from hmr_ros.world.stand import STANDS

_REMEMBERED = 300  # frames of one person that tell where the floor is
_CAMERA_HEIGHT_M = 1.2  # until somebody was seen
_RING_OVER_M = 0.012  # a standing sole, so that the floor does not hide the ring
_RING_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_RING = 0.06 * np.stack([np.cos(_RING_ANGLES), np.sin(_RING_ANGLES), 0 * _RING_ANGLES], -1)  # m


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


def contact_rings(human: Human, bones: Bones, soles: Soles, betas: Floats) -> Floats:
    """Lines [N,2,3] m in the world: a ring under each heel and ball of a foot that stands on something; N is 0 where
    nobody knows. `bones` are those of a body of shape `betas`."""
    if human.world is None:
        return np.zeros((0, 2, 3))
    points = soles.placed(bones.rotations, bones.positions, betas)[human.world.contacts > STANDS]
    rings = points[:, None] + _RING + [0.0, 0.0, _RING_OVER_M]
    return np.stack([rings, np.roll(rings, -1, axis=1)], 2).reshape(-1, 2, 3)


class Floor:
    """Where the floor is: as deep under the camera as the soles of everybody who was seen lately."""

    def __init__(self, body: BodyModel) -> None:
        self._soles = Soles(body)
        self._lowest: deque[float] = deque(maxlen=_REMEMBERED)
        self.camera_height_m = _CAMERA_HEIGHT_M  # of the camera over the floor

    def observe(self, humans: list[Human], rotation: Floats) -> None:
        """Learn from people in the camera's frame; `rotation` takes it to the world's axes."""
        known = [h for h in humans if np.isfinite(h.joints).all() and np.isfinite(h.global_orient).all()]
        for h in known:
            row = h.global_orient[None], h.body_pose[None], h.betas[None], h.joints[:1]
            self._lowest.append(float(self._soles.lowest(*row, rotation[2])[0]))
        if known:
            self.camera_height_m = -floor_under(np.array(self._lowest))
