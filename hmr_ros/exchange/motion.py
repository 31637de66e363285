"""One pose of a person in a world whose z is up, and poses between two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.model import pose_matrices
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.types import Floats, Human
from hmr_ros.world.gravity import LEVEL

_NEARLY_PARALLEL = 1 - 1e-9  # cosine from which two quaternions are interpolated straight


@dataclass(frozen=True)
class BodyPose:
    """SMPL's 24 rotations and the place of the pelvis; world: x forward, y left, z up."""

    rotations: Floats  # [24,4] unit quaternions wxyz: SMPL's axes of the body -> world, then local ones
    pelvis: Floats  # [3] m
    betas: Floats  # [10]

    @property
    def is_finite(self) -> bool:
        """Whether every number of it is one."""
        return all(bool(np.isfinite(a).all()) for a in (self.rotations, self.pelvis, self.betas))


def camera_axes(human: Human, upright: Floats) -> Floats:
    """R_world_camera [3,3] for a person: as the world says that was found with them, else that of a camera that is
    level once `upright` [3,3] has turned it about its optical axis."""
    return np.asarray(LEVEL @ upright if human.world is None else human.world.R_world_camera)


def pose_of(human: Human, R_world_camera: Floats) -> BodyPose:
    """A person's pose; `R_world_camera` [3,3] takes vectors of the optical frame to the world."""
    with np.errstate(all="ignore"):  # what is not finite is found by `is_finite`
        local = pose_matrices(human.global_orient, human.body_pose)
        local[0] = R_world_camera @ local[0]
        return BodyPose(quaternion_from_matrix(local), R_world_camera @ human.joints[0], np.asarray(human.betas))


def between(a: BodyPose, b: BodyPose, share: float) -> BodyPose:
    """The pose on the way from `a` (`share` 0) to `b` (1): great arcs for rotations (slerp), straight for the rest."""
    return BodyPose(
        slerp(a.rotations, b.rotations, share),
        a.pelvis + share * (b.pelvis - a.pelvis),
        a.betas + share * (b.betas - a.betas),
    )


def slerp(a: Floats, b: Floats, share: float) -> Floats:
    """Between unit quaternions a and b [...,4], the shorter way: sin((1-s)w)/sin(w) a + sin(s w)/sin(w) b with
    cos(w) = |a.b| (Shoemake 1985). The answer has the sign of `a`."""
    cosine = (a * b).sum(-1, keepdims=True)
    b = np.where(cosine < 0, -b, b)
    angle = np.arccos(np.minimum(np.abs(cosine), 1.0))
    sine = np.where(np.abs(cosine) < _NEARLY_PARALLEL, np.sin(angle), 1.0)
    straight = np.abs(cosine) >= _NEARLY_PARALLEL
    first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / sine)
    second = np.where(straight, share, np.sin(share * angle) / sine)
    mixed = first * a + second * b
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True))
