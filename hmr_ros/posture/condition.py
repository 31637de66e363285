"""What the decoder is conditioned on: the 2D mesh at the sparse points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.networks.mesh2d import Mesh2D
from hmr_ros.types import Floats

_NEAREST = 5


def condition(mesh2d: Mesh2D, points: Tensor, log_scale: Tensor) -> Tensor:
    """[B,81,6]: u, v, log sigma and the world landmarks carried to the points (zero where there are none)."""
    uv, log_sigma, carried = mesh2d(points, log_scale, NUM_SPARSE)
    return torch.cat([uv, log_sigma[..., None], carried], -1)


def sparse_adjacency(posed: PosedPoints) -> Floats:
    """[81,81] neighbours in the T-pose, and bones between joints; rows sum to 1, self loops included."""
    rest = posed.template[:NUM_SPARSE].double().numpy()
    distance = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    adjacency = np.eye(NUM_SPARSE)
    for i, near in enumerate(np.argsort(distance, axis=1)[:, 1 : 1 + _NEAREST]):
        adjacency[i, near] = adjacency[near, i] = 1.0
    order = {int(j): i for i, j in enumerate(JOINT_IDS)}
    for joint, i in order.items():
        parent = int(SMPL_PARENTS[joint])
        while parent >= 0 and parent not in order:
            parent = int(SMPL_PARENTS[parent])
        if parent >= 0:
            adjacency[i, order[parent]] = adjacency[order[parent], i] = 1.0
    return np.asarray(adjacency / adjacency.sum(1, keepdims=True))
