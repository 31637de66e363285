"""Sparse key points to a 2D mesh: M_2d = C P with C adaptive on the confidences (PostureHMR 3.1, VirtualMarker)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.networks.weights import read_weights

NUM_LANDMARKS = 33
CHANNELS = 6  # u, v, confidence, x, y, z; see evidence.keypoints
MAX_LOG_SIGMA = 1.0


# The loss d / s + 2 log s of a distance d makes s half its expectation. Standard deviation an axis of a Laplace
# distribution with that expectation, in units of s:
AXIS_2D = math.sqrt(3.0)
AXIS_3D = 4.0 / 3.0


@dataclass(frozen=True)
class Mesh2DSize:
    """Widths of the network."""

    points: int = 448  # 17 joints and 431 vertices
    hidden: int = 384
    residual: bool = True  # False: C P alone


class Mesh2D(nn.Module):
    """Key points [B,33,6] -> 2D points [B,P,2], their log spread [B,P] (`AXIS_2D`) and interpolated
    landmarks [B,P,3].

    C is one linear layer from the 33 confidences to P x 33 coefficients whose rows sum to one, so C P moves and grows
    with the person. What a linear map cannot know (which way the limb bends, the landmarks' own bias) a small residual
    adds; it also says how uncertain each point is. All lengths in units of the person's size.
    """

    landmarks: Tensor

    def __init__(self, size: Mesh2DSize) -> None:
        super().__init__()
        self.size = size
        P, H = size.points, size.hidden
        # which convex mixture of the points each landmark is; learned from the pairs, used by benchmarks and training
        self.register_buffer("landmarks", torch.zeros(NUM_LANDMARKS, P))
        self.coefficients = nn.Linear(NUM_LANDMARKS, P * NUM_LANDMARKS)
        self.trunk = nn.Sequential(
            nn.Linear(NUM_LANDMARKS * CHANNELS + 1, H), nn.LayerNorm(H), nn.GELU(),
            nn.Linear(H, H), nn.LayerNorm(H), nn.GELU(),
        )  # fmt: skip
        self.residual = nn.Linear(H, P * 3)
        nn.init.normal_(self.coefficients.weight, std=1e-3)
        nn.init.zeros_(self.coefficients.bias)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def forward(self, points: Tensor, log_scale: Tensor, rows: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """`points` [B,33,6] as in `evidence.keypoints`, `log_scale` [B]; `rows` = only the first so many points."""
        P = rows or self.size.points
        linear, residual = self.coefficients, self.residual
        C = functional.linear(points[..., 2], linear.weight[: P * NUM_LANDMARKS], linear.bias[: P * NUM_LANDMARKS])
        C = C.reshape(-1, P, NUM_LANDMARKS)
        C = C + (1.0 - C.sum(-1, keepdim=True)) / NUM_LANDMARKS
        carried = C @ torch.cat([points[..., :2], points[..., 3:]], -1)  # all but the confidence
        hidden = self.trunk(torch.cat([points.flatten(1), log_scale[:, None]], 1))
        extra = functional.linear(hidden, residual.weight[: P * 3], residual.bias[: P * 3]).reshape(-1, P, 3)
        uv = carried[..., :2] + extra[..., :2] if self.size.residual else carried[..., :2]
        return uv, extra[..., 2].clamp(-5.0, MAX_LOG_SIGMA), carried[..., 2:]


def load_mesh2d(path: Path) -> Mesh2D:
    """2D mesh network of a weights file."""
    state, size, _ = read_weights(path, "mesh2d")
    network = Mesh2D(Mesh2DSize(**size))
    network.load_state_dict(state)
    return network.eval()
