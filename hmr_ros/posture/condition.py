"""What the decoder is conditioned on and how its tokens are connected."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, CoarseMesh
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.networks.mesh2d import Mesh2D
from hmr_ros.types import Floats

_NEAREST = 5


def condition(mesh2d: Mesh2D, points: Tensor, log_scale: Tensor, rows: int = NUM_SPARSE) -> Tensor:
    """[B,rows,6]: u, v, log sigma and the world landmarks carried to the points (zero where there are none)."""
    uv, log_sigma, carried = mesh2d(points, log_scale, rows)
    return torch.cat([uv, log_sigma[..., None], carried], -1)


def token_adjacency(mesh: CoarseMesh, rest: Floats, count: int) -> Floats:
    """[count,count] neighbours of the first `count` of the 448 points, `rest` [448,3] their T-pose.

    Bones join joints, the nearest five join points; among all 431 vertices the mesh's own neighbours take their place.
    Rows sum to 1, self loops included.
    """
    rest = rest[:count]
    distance = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    adjacency = np.eye(count)
    for i, near in enumerate(np.argsort(distance, axis=1)[:, 1 : 1 + _NEAREST]):
        adjacency[i, near] = adjacency[near, i] = 1.0
    first = len(JOINT_IDS)
    if count == first + len(mesh.vertex_ids):
        adjacency[first:, first:] = mesh.adjacency > 0
    for i, parent in enumerate(_parents()):
        if parent >= 0:
            adjacency[i, parent] = adjacency[parent, i] = 1.0
    return np.asarray(adjacency / adjacency.sum(1, keepdims=True))


def _parents() -> list[int]:
    """For each of the 17 joints the nearest ancestor among them, or -1."""
    order = {int(j): i for i, j in enumerate(JOINT_IDS)}
    found = []
    for joint in JOINT_IDS:
        parent = int(SMPL_PARENTS[joint])
        while parent >= 0 and parent not in order:
            parent = int(SMPL_PARENTS[parent])
        found.append(order.get(parent, -1))
    return found
