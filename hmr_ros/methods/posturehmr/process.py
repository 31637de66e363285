"""The forward process of PostureHMR (section 3.2), from a person's posture back to the T-pose, and the reverse process
(section 3.3), from the T-pose to the person in a few learned steps.

The paper's index: t = 0 is the person, t = T the T-pose. Here t runs over [0, 1] in units of T.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from hmr_ros.networks.kinematics import PosedPoints, matrix_from_axis_angle, pose_corrections

# The template stands upright and faces the camera: half a turn about x takes y-up, z-front to camera axes.
FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
# (M_t, t, s) -> (M_s - M_t, log spread of M_s); the condition is bound by the caller
Decoder = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def fk_state(points: PosedPoints, pose: Tensor, betas: Tensor, t: Tensor, rows: int | None = None) -> Tensor:
    """M_t of Eq. 2-4: points [B,P,3] m, camera axes, pelvis at the origin.

    `pose` [B,24,3] rad is theta_0, its first row turns the facing T-pose into the person's orientation (`facing_pose`);
    `betas` [B,10]; `t` [B]. Joint angles shrink linearly to zero (Eq. 4), and so do the offsets of shape and pose
    correctives (Eq. 3), so every state is a posed body.
    """
    keep = 1.0 - t
    rotations = matrix_from_axis_angle(pose * keep[:, None, None])
    offsets = None
    if len(points.posedirs):
        offsets = pose_corrections(matrix_from_axis_angle(pose)) * keep[:, None]  # B_P(theta_0), scaled
    return points(rotations, betas * keep[:, None], offsets, rows) @ FACING.to(pose)


def vertex_state(points: PosedPoints, pose: Tensor, betas: Tensor, t: Tensor, rows: int | None = None) -> Tensor:
    """The ablation: straight lines between the two ends of `fk_state`; the states between are no bodies."""
    person = fk_state(points, pose, betas, torch.zeros_like(t), rows)
    template = fk_state(points, pose, betas, torch.ones_like(t), rows)
    return person + t[:, None, None] * (template - person)


def step_times(steps: int) -> list[float]:
    """The visited t from the T-pose (1) to the person (0), evenly spaced: `steps` + 1 of them."""
    return [1.0 - k / steps for k in range(steps + 1)]


def reverse(decoder: Decoder, template: Tensor, times: list[float]) -> tuple[Tensor, Tensor]:
    """Eq. 5 with reduced steps: M [B,P,3] m at the last of `times`, and its log sigma [B,P].

    `template` [B,P,3] is the facing T-pose. Each step knows where it is and where it goes, so that the same weights
    serve any number of steps.
    """
    x, log_sigma = template, template[..., 0] * 0.0
    for t, s in pairwise(times):
        zero = torch.zeros_like(x[:, 0, 0])  # [B], in a traced graph as well
        change, log_sigma = decoder(x, zero + t, zero + s)
        x = x + change
    return x, log_sigma
