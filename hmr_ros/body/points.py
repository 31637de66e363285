"""Points that ride on an SMPL-format body: any choice of its joints and vertices, skinned alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.model import NUM_JOINTS, BodyModel, forward_kinematics
from hmr_ros.types import Floats, Ints


@dataclass(frozen=True)
class BodyPoints:
    """P points with their own rows of the body's arrays; a joint is a point that hangs on its own bone alone."""

    template: Floats  # [P,3] m at rest
    shapedirs: Floats  # [P,3,10] m per unit of beta
    posedirs: Floats | None  # [P,3,207] or None
    weights: Floats  # [P,24]
    J_template: Floats  # [24,3] m
    J_shapedirs: Floats  # [24,3,10]

    def __len__(self) -> int:
        return len(self.template)

    def rest(self, betas: Floats) -> tuple[Floats, Floats]:
        """Points [P,3] and joints [24,3] m of the T-pose for one shape [10]."""
        return self.template + self.shapedirs @ betas, self.J_template + self.J_shapedirs @ betas

    def posed(self, rotations: Floats, betas: Floats) -> Floats:
        """Points [P,3] m for local rotations [24,3,3]; the pelvis stays at its rest position."""
        points, joints = self.rest(betas)
        if self.posedirs is not None:
            points = points + self.posedirs @ (rotations[1:] - np.eye(3)).reshape(-1)
        world, placed = forward_kinematics(rotations, joints)
        offsets = placed - np.einsum("jab,jb->ja", world, joints)
        turned = np.einsum("jab,pb->pja", world, points) + offsets
        return np.asarray(np.einsum("pj,pja->pa", self.weights, turned))


def points_of(body: BodyModel, joints: Ints, vertices: Ints) -> BodyPoints:
    """The joints (first) and vertices of `body` with these indices."""
    J_template, J_shapedirs = body.rest_joints(np.zeros(10)), body.joint_shapedirs
    posedirs = None
    if body.posedirs is not None:
        posedirs = np.concatenate([np.zeros((len(joints), *body.posedirs.shape[1:])), body.posedirs[vertices]])
    return BodyPoints(
        template=np.concatenate([J_template[joints], body.v_template[vertices]]),
        shapedirs=np.concatenate([J_shapedirs[joints], body.shapedirs[vertices]]),
        posedirs=posedirs,
        weights=np.concatenate([np.eye(NUM_JOINTS)[joints], body.weights[vertices]]),
        J_template=J_template,
        J_shapedirs=J_shapedirs,
    )
