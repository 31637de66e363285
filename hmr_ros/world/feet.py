"""What of a foot can stand on the floor: a heel and a ball on the sole of each foot, rigid with the ankle's bone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.types import Floats, Ints

POINTS = ("left_heel", "left_ball", "right_heel", "right_ball")  # the order of all contacts
ANKLES = np.array([SMPL["left_ankle"]] * 2 + [SMPL["right_ankle"]] * 2)  # whose bone each point is on
_TOES = np.array([SMPL["left_foot"]] * 2 + [SMPL["right_foot"]] * 2)
_BEHIND_M = 0.01  # of the ankle, where a heel begins
_BESIDE_M = 0.02  # of the toe joint, along the foot, where the ball is


@dataclass(frozen=True)
class Soles:
    """The four points of a body's soles."""

    body: BodyModel

    @cached_property
    def vertices(self) -> Ints:
        """[4] the lowest vertex of each heel and ball in the T-pose."""
        v, joints = self.body.v_template, self.body.rest_joints(np.zeros(self.body.shapedirs.shape[-1]))
        carrier = self.body.weights.argmax(1)
        chosen = []
        for k, (ankle, toe) in enumerate(zip(ANKLES, _TOES, strict=True)):
            foot = np.flatnonzero((carrier == ankle) | (carrier == toe))
            z = v[foot, 2]
            part = z < joints[ankle, 2] - _BEHIND_M if k % 2 == 0 else np.abs(z - joints[toe, 2]) < _BESIDE_M
            part = part if part.any() else np.ones(len(foot), bool)
            chosen.append(foot[part][v[foot[part], 1].argmin()])
        return np.array(chosen)

    def offsets(self, betas: Floats) -> Floats:
        """Of the points from their ankles [...,4,3] m in the T-pose of shapes `betas` [...,10]."""
        points = self.body.v_template[self.vertices] + np.einsum(
            "kab,...b->...ka", self.body.shapedirs[self.vertices], betas
        )
        return np.asarray(points - self.body.rest_joints(betas)[..., ANKLES, :])

    def placed(self, rotations: Floats, joints: Floats, betas: Floats) -> Floats:
        """Points [...,4,3] m for bones' axes [...,24,3,3] and joints [...,24,3] m of shapes `betas` [...,10]."""
        turned = np.einsum("...kab,...kb->...ka", rotations[..., ANKLES, :, :], self.offsets(betas))
        return np.asarray(joints[..., ANKLES, :] + turned)

    def lowest(self, orient: Floats, pose: Floats, betas: Floats, pelvis: Floats, up: Floats) -> Floats:
        """Height [N] m, along `up` [3] from the origin, of the lowest point of the soles of N people with orientations
        [N,3] and poses [N,69] rad, shapes [N,10] and pelvis [N,3] m, all in one frame."""
        axes, joints = forward_kinematics(pose_matrices(orient, pose), self.body.rest_joints(betas))
        points = self.placed(axes, joints - joints[:, :1] + pelvis[:, None], betas)
        return np.asarray((points @ up).min(-1))
