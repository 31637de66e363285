"""SMPL-format body: linear blend skinning in NumPy, for any body that comes with the SMPL arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.errors import BodyModelError
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import Floats, Ints

NUM_JOINTS = 24
NUM_BETAS = 10


@dataclass(frozen=True)
class BodyModel:
    """Arrays of one SMPL-format body (Loper et al. 2015) and what can be computed from them.

    Rest pose: T-pose, y up, facing +z, left at +x, metres. `transl` is added after posing, as in smplx: the root
    joint ends at rest_joints(betas)[0] + transl.
    """

    name: str
    v_template: Floats  # [V,3] m
    shapedirs: Floats  # [V,3,10] m per unit of beta
    posedirs: Floats | None  # [V,3,207] m per entry of (R_1..R_23 - I), or None: no pose correctives
    J_regressor: Floats  # [24,V]
    weights: Floats  # [V,24], rows sum to 1
    faces: Ints  # [F,3]
    _J_template: Floats = field(init=False, repr=False)  # [24,3] m
    _J_shapedirs: Floats = field(init=False, repr=False)  # [24,3,10]

    def __post_init__(self) -> None:
        V = len(self.v_template)
        shapes = {
            "v_template": (V, 3), "shapedirs": (V, 3, NUM_BETAS), "J_regressor": (NUM_JOINTS, V),
            "weights": (V, NUM_JOINTS), "faces": (len(self.faces), 3),
        }  # fmt: skip
        for key, shape in shapes.items():
            if getattr(self, key).shape != shape:
                raise BodyModelError(f"body {self.name}: {key} is {getattr(self, key).shape}, SMPL has {shape}")
        object.__setattr__(self, "_J_template", self.J_regressor @ self.v_template)
        object.__setattr__(self, "_J_shapedirs", np.einsum("jv,vck->jck", self.J_regressor, self.shapedirs))

    @property
    def joint_shapedirs(self) -> Floats:
        """Motion [24,3,10] m of the rest joints for a unit of each beta."""
        return self._J_shapedirs

    def rest_joints(self, betas: Floats) -> Floats:
        """Joints [...,24,3] m of the T-pose for shapes [...,10]."""
        return self._J_template + np.einsum("jck,...k->...jc", self._J_shapedirs, betas)

    def bones(self, betas: Floats) -> Floats:
        """Each joint's place in its parent's axes at rest [...,24,3] m for shapes [...,10]; the pelvis' is zero."""
        rest = self.rest_joints(betas)
        return rest - rest[..., np.maximum(SMPL_PARENTS, 0), :]

    def joints(self, global_orient: Floats, body_pose: Floats, betas: Floats, transl: Floats) -> Floats:
        """Posed joints [...,24,3] m for axis-angle [...,3] and [...,69] rad, betas [...,10], transl [...,3] m."""
        rest = self.rest_joints(betas)
        _, posed = forward_kinematics(pose_matrices(global_orient, body_pose), rest)
        return posed + np.asarray(transl)[..., None, :]

    def vertices(self, global_orient: Floats, body_pose: Floats, betas: Floats, transl: Floats) -> Floats:
        """Posed surface [V,3] m of one person; arguments as in `joints`, unbatched."""
        rotations = pose_matrices(np.asarray(global_orient), np.asarray(body_pose))
        rest = self.rest_joints(betas)
        shaped = self.v_template + self.shapedirs @ np.asarray(betas)
        if self.posedirs is not None:
            shaped = shaped + self.posedirs @ (rotations[1:] - np.eye(3)).reshape(-1)
        world, posed = forward_kinematics(rotations, rest)
        offsets = posed - np.einsum("jab,jb->ja", world, rest)
        skin = self.weights @ np.concatenate([world.reshape(NUM_JOINTS, 9), offsets], axis=1)  # [V,12]
        turned = np.einsum("vab,vb->va", skin[:, :9].reshape(-1, 3, 3), shaped)
        return turned + skin[:, 9:] + np.asarray(transl)


def pose_matrices(global_orient: Floats, body_pose: Floats) -> Floats:
    """Axis-angle [...,3] and [...,69] rad -> local rotations [...,24,3,3]."""
    pose = np.concatenate([global_orient, body_pose], axis=-1)
    return matrix_from_axis_angle(pose.reshape(*pose.shape[:-1], NUM_JOINTS, 3))


def world_rotations(rotations: Floats) -> Floats:
    """Local rotations [...,24,3,3] -> rotations in the body's root frame [...,24,3,3].

    Products along the tree by doubling: each round joins every joint's product with that of the joint where it begins.
    """
    world = rotations.copy()
    for joints, ancestors in _ROUNDS:
        world[..., joints, :, :] = np.take(world, ancestors, -3) @ np.take(world, joints, -3)
    return world


def forward_kinematics(rotations: Floats, rest_joints: Floats) -> tuple[Floats, Floats]:
    """Local rotations [...,24,3,3] and rest joints [...,24,3] m -> rotations in the body's root frame [...,24,3,3]
    and posed joints [...,24,3] m; the root stays at its rest position."""
    world = world_rotations(rotations)
    bones = rest_joints - np.take(rest_joints, _PARENTS, -2)
    bones[..., 0, :] = 0.0
    turned = (np.take(world, _PARENTS, -3) @ bones[..., None])[..., 0]
    return world, SUBTREES.T @ turned + rest_joints[..., :1, :]


def _rounds() -> list[tuple[Ints, Ints]]:
    """Joints and their ancestors 1, 2, 4, ... levels up, as long as there are any."""
    found, up = [], SMPL_PARENTS
    while (joints := np.flatnonzero(up >= 0)).size:
        found.append((joints, up[joints]))
        up = np.where(up >= 0, up[np.maximum(up, 0)], -1)
    return found


def _subtrees() -> Floats:
    below = np.eye(NUM_JOINTS)
    for j in range(NUM_JOINTS - 1, 0, -1):
        below[SMPL_PARENTS[j]] += below[j]
    return below


_PARENTS = np.maximum(SMPL_PARENTS, 0)
_ROUNDS = _rounds()
SUBTREES = _subtrees()  # [24,24], 1 where the second joint is the first or hangs on it
SUBTREES.setflags(write=False)  # everybody's
