"""How points ride on the bones of a body: where they are, and how they move with the joints' turns and the shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, SUBTREES, world_rotations
from hmr_ros.body.points import BodyPoints
from hmr_ros.types import Floats, Ints


@dataclass(frozen=True)
class Posed:
    """P points of N people, pelvis at the origin, and M differences between them."""

    world: Floats  # [N,24,3,3] rotations of the bones
    arms: Floats  # [N,3,S] m, of pairs of a joint and a point that it moves
    arms_between: Floats  # [N,3,U] m, of pairs of a joint and a difference
    points: Floats  # [N,3,P] m
    between: Floats  # [N,3,M] m


class ArticulatedPoints:
    """P points that ride on an SMPL-format body, and M differences between two of them.

    A point is a sum of vectors that are fixed to bones: its own from each bone that carries it, and the bones up to
    there. With R_i the rotation of the bone of vector v_i(betas), the part of point p that joint j moves, its arm, is

        a_pj = sum_i C_i,pj R_i v_i(betas),

    where C is constant; turning j and all below by a small w moves the point by w x a_pj, and a difference of points by
    the difference of their arms. A joint moves few points, so only pairs with a part are kept. Pairs of the pelvis
    come first: their arms are the points themselves.
    """

    def __init__(self, points: BodyPoints, between: Ints | None = None) -> None:
        """`between` [M,2]: indices of the first and second point of each difference."""
        first, second = (np.zeros((0, 2), np.int64) if between is None else between).T
        carried, bone = np.nonzero(points.weights)  # each point's own vectors
        own = points.weights[carried, bone][:, None] * (carried[:, None] == np.arange(len(points)))  # [K,P]
        mass = SUBTREES @ points.weights.T  # [24,P] share of each point that a joint moves
        bones = np.arange(1, NUM_JOINTS)
        # of all pairs [V,24,P]; the bone that ends at b carries what hangs on b, for joints above b
        strictly = (SUBTREES - np.eye(NUM_JOINTS))[:, bones].T
        C = np.concatenate([SUBTREES[:, bone].T[..., None] * own[:, None], strictly[..., None] * mass[bones, None]])
        self.joint_of, self.point_of = np.nonzero(mass)  # of the S pairs
        apart = C[..., second] - C[..., first]
        self.joint_of_between, self.between_of = np.nonzero((apart != 0).any(0))  # of the U pairs
        self.count, self.count_between = len(points), len(first)
        pairs = [C[:, self.joint_of, self.point_of], apart[:, self.joint_of_between, self.between_of]]
        self._coefficients = csr_matrix(np.concatenate(pairs, 1).T)  # [S + U,V], of which two in a hundred are not zero
        parents = SMPL_PARENTS[1:]
        self._bone = np.concatenate([bone, parents])
        self._vectors = np.concatenate(
            [points.template[carried] - points.J_template[bone], points.J_template[1:] - points.J_template[parents]]
        )  # fmt: skip
        directions = np.concatenate(
            [points.shapedirs[carried] - points.J_shapedirs[bone], points.J_shapedirs[1:] - points.J_shapedirs[parents]]
        )  # fmt: skip
        self._directions = directions.reshape(-1, NUM_BETAS).T.copy()
        self._posedirs = None
        if points.posedirs is not None:
            self._posedirs = points.posedirs[carried].reshape(3 * len(carried), -1).T.copy()
        motion = np.zeros((NUM_JOINTS, 3, NUM_BETAS, len(points)))
        np.add.at(motion, self._bone, np.einsum("ifk,ip->ifkp", directions, C[:, 0]))
        motion = np.concatenate([motion, motion[..., second] - motion[..., first]], -1)
        self._motion = motion.reshape(NUM_JOINTS * 3, -1)

    def posed(self, rotations: Floats, betas: Floats) -> Posed:
        """Of local rotations [N,24,3,3], the first to the axes of the answer, and shapes [N,10]."""
        N, P, M = len(rotations), self.count, self.count_between
        vectors = (betas @ self._directions).reshape(N, -1, 3)
        vectors += self._vectors
        if self._posedirs is not None:
            offsets = ((rotations[:, 1:] - np.eye(3)).reshape(N, -1) @ self._posedirs).reshape(N, -1, 3)
            vectors[:, : offsets.shape[1]] += offsets
        world = world_rotations(rotations)
        turned = (np.take(world, self._bone, 1) @ vectors[..., None])[..., 0]
        every = self._coefficients @ turned.swapaxes(0, 1).reshape(-1, 3 * N)
        every = np.ascontiguousarray(every.T).reshape(N, 3, -1)
        arms, between = every[..., : len(self.joint_of)], every[..., len(self.joint_of) :]
        return Posed(world, arms, between, arms[..., :P], between[..., :M])

    def shape_motion(self, world: Floats) -> tuple[Floats, Floats]:
        """How the points [N,3,10,P] m and the differences [N,3,10,M] m move for a unit of each beta, with the bones'
        rotations [N,24,3,3]: linear in these."""
        N = len(world)
        rows = world.swapaxes(1, 2).reshape(3 * N, NUM_JOINTS * 3)
        every = (rows @ self._motion).reshape(N, 3, NUM_BETAS, self.count + self.count_between)
        return every[..., : self.count], every[..., self.count :]
