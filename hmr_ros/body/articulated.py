"""How points ride on the bones of a body: where they are, and how they move with the joints' turns and the shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, SUBTREES, world_rotations
from hmr_ros.body.points import BodyPoints
from hmr_ros.types import Floats, Ints


@dataclass(frozen=True)
class Posed:
    """P points of N people, pelvis at the origin."""

    world: Floats  # [N,24,3,3] rotations of the bones
    arms: Floats  # [N,3,S] m, one for each pair of a joint and a point that it moves

    points: Floats  # [N,3,P] m


class ArticulatedPoints:
    """P points that ride on an SMPL-format body.

    A point is a sum of vectors that are fixed to bones: its own from each bone that carries it, and the bones up to
    there. With R_i the rotation of the bone of vector v_i(betas), the part of point p that joint j moves, its arm, is

        a_pj = sum_i C_i,pj R_i v_i(betas),

    where C is constant; turning j and all below by a small w moves the point by w x a_pj. A joint moves few points, so
    only pairs with a part are kept. Pairs of the pelvis come first: their arms are the points themselves.
    """

    def __init__(self, points: BodyPoints) -> None:
        mass = points.weights @ SUBTREES.T  # [P,24] share of each point that a joint moves
        self.joint_of, self.point_of = np.nonzero(mass.T > 0)  # of the S pairs
        self.count = len(points)
        carried, self._bone = np.nonzero(points.weights)
        share = points.weights[carried, self._bone]
        K = len(carried)
        bones = np.arange(1, NUM_JOINTS)
        self._vectors = _linear(
            points.template[carried] - points.J_template[self._bone], points.J_template[1:],
            points.J_template[SMPL_PARENTS[1:]],
        )  # fmt: skip
        self._directions = _linear(
            points.shapedirs[carried] - points.J_shapedirs[self._bone], points.J_shapedirs[1:],
            points.J_shapedirs[SMPL_PARENTS[1:]],
        )  # fmt: skip
        self._bone = np.concatenate([self._bone, SMPL_PARENTS[1:]])
        C = np.zeros((K + NUM_JOINTS - 1, len(self.joint_of)))
        j, p = self.joint_of, self.point_of
        C[:K] = share[:, None] * (carried[:, None] == p) * SUBTREES[j][:, self._bone[:K]].T
        # the bone that ends at b lies between j and what hangs on b, if b is below j
        C[K:] = mass[p][:, bones].T * (SUBTREES[j][:, bones] - np.eye(NUM_JOINTS)[j][:, bones]).T
        self._coefficients = C
        self._posedirs = None
        if points.posedirs is not None:
            self._posedirs = points.posedirs[carried].reshape(3 * K, -1).T.copy()
        motion = np.zeros((NUM_JOINTS, 3, NUM_BETAS, self.count))
        np.add.at(motion, self._bone, np.einsum("ifk,ip->ifkp", self._directions, C[:, : self.count]))
        self._motion = motion.reshape(NUM_JOINTS * 3, -1)
        self._directions = self._directions.reshape(-1, NUM_BETAS).T.copy()

    def posed(self, rotations: Floats, betas: Floats) -> Posed:
        """Of local rotations [N,24,3,3], the first to the axes of the answer, and shapes [N,10]."""
        N = len(rotations)
        vectors = self._vectors + (betas @ self._directions).reshape(N, -1, 3)
        if self._posedirs is not None:
            offsets = ((rotations[:, 1:] - np.eye(3)).reshape(N, -1) @ self._posedirs).reshape(N, -1, 3)
            vectors[:, : offsets.shape[1]] += offsets
        world = world_rotations(rotations)
        turned = (np.take(world, self._bone, 1) @ vectors[..., None])[..., 0]
        arms = turned.swapaxes(1, 2).reshape(3 * N, -1) @ self._coefficients
        arms = arms.reshape(N, 3, -1)
        return Posed(world, arms, arms[..., : self.count])

    def shape_motion(self, world: Floats) -> Floats:
        """How the points move for a unit of each beta [N,3,10,P] m; linear in the bones' rotations [N,24,3,3]."""
        N = len(world)
        rows = world.swapaxes(1, 2).reshape(3 * N, NUM_JOINTS * 3)
        return np.asarray((rows @ self._motion).reshape(N, 3, NUM_BETAS, self.count))


def _linear(own: Floats, ends: Floats, starts: Floats) -> Floats:
    """What the points' own vectors are, then those of the bones."""
    return np.concatenate([own, ends - starts])
