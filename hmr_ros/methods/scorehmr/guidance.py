"""What guidance is made of, for one frame or many: key points with weights, how firmly joints are held, the pelvis."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.diffusion.constants import constant
from hmr_ros.diffusion.reprojection import Seen, keypoint_turn
from hmr_ros.diffusion.skeleton import Skeleton, leading
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.methods.scorehmr.settings import Guidance

LIMBS = [int(joint) for joint in SMPL_LIMBS]
_JOINTS = len(SMPL_PARENTS)
PELVIS_FREE, _PELVIS_HELD = 20.6, 5.14e4  # 1/m^2


def turn_root(x: Tensor, R: Tensor) -> Tensor:
    """6D poses [...,144] with the first joint turned by `R` [...,3,3]; noise turns likewise."""
    first, rest = torch.split(x, [6, int(x.shape[-1]) - 6], -1)
    lead = leading(x, 1)
    return torch.cat([(first.reshape(*lead, 2, 3) @ R.transpose(-1, -2)).reshape(*lead, 6), rest], -1)


def depth_energy(
    log_depth: Tensor, seconds: Tensor, present: Tensor, guidance: Guidance, sigma: Tensor | float
) -> NewtonWindow:
    """Energy of the logarithm of the pelvis' depth [P,W], the least certain part of its place, over the window; `sigma`
    its standard deviation in a frame, a number, [P,1,1] or [P,W,1]."""
    log = log_depth[..., None]
    A = couplings(seconds, present, *guidance.depth)
    return NewtonWindow(log, 0 * log + sigma**-2, A)


def keypoints_at(
    rays: Tensor, confidence: Tensor, depth: Tensor, sigma_ray: Tensor | float, outlier: float,
    R: Tensor | None = None, t: Tensor | None = None,
) -> Seen:  # fmt: skip
    """Landmarks of N frames with their weights; a landmark's error is one of metres, so it shrinks with the depth.

    `rays` [N,K,2], `confidence` [N,K], `depth` [N] m, `sigma_ray` [N,1] m; `R` [3,3], `t` [3] as in `Seen`.
    """
    return Seen(rays, confidence * depth[:, None] / sigma_ray, outlier / depth, R, t)


def stiffness(held: Tensor, floor: Tensor | float) -> Tensor:
    """How firmly each joint is turned away from where it is, 1/rad^2; `held` [...] is the precision of its six
    numbers: a turn of w moves them by 4/3 w^2."""
    return 4 / 3 * held + floor


def pelvis_stiffness(depth: Tensor) -> Tensor:
    """[N,3]: free to the sides, held in depth [N], which the window knows better than one frame."""
    forward = torch.eye(3, device=depth.device)[2]
    return (1 / (depth * depth))[:, None] * (_PELVIS_HELD * forward) + PELVIS_FREE * (1 - forward)


def pelvis_at(limbs: Tensor, keypoints: Seen, recovered: Tensor, depth: Tensor, sigma_ray: Tensor | float) -> Tensor:
    """Pelvis [N,3] m at `depth` [N]: closed form in x and y, where nothing is seen the recovered place [N,3].

    `limbs` [N,K,3] m from the pelvis, `sigma_ray` [N,1].
    """
    z = limbs[..., 2:] + depth[:, None, None]
    w = keypoints.weights[..., None] / z
    w = w * w
    there = recovered[:, :2] / recovered[:, 2:] * depth[:, None]
    wanted = keypoints.rays * z - limbs[..., :2]
    faint = 0.05 / sigma_ray**2
    xy = ((w * wanted).sum(1) + faint * there) / (w.sum(1) + faint)
    return torch.cat([xy, depth[:, None]], 1)


def towards_keypoints(
    rotations: Tensor, skeleton: Skeleton, keypoints: Seen, recovered: Tensor, depth: Tensor,
    sigma_ray: Tensor | float, firm: Tensor, around: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Local rotations [N,24,3,3] and pelvis [N,3] m one step towards the key points.

    `recovered` [N,3], `depth` [N] and `sigma_ray` as in `pelvis_at`, `firm` [N,24] as of `stiffness`, `around` [N,3,3]
    as in `Skeleton.pose`.
    """
    posed = skeleton.pose(rotations, around)
    limbs = posed.joints.index_select(1, _limbs(str(rotations.device)))
    at = pelvis_at(limbs, keypoints, recovered, depth, sigma_ray)
    return keypoint_turn(posed, rotations, at, LIMBS, [keypoints], firm, pelvis_stiffness(depth))


@cache
def _limbs(device: str) -> Tensor:
    """[12] joints that key points lie on."""
    return constant(LIMBS, device)


def fused_poses(mean: Tensor, precision: Tensor, measured: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Two 6D poses [P,144] by their precisions [P,24]."""
    both = precision + trust
    share = by_joint(trust / both)
    return mean + (share * by_joint(measured - mean)).reshape(-1, int(mean.shape[1])), both


def by_joint(x: Tensor) -> Tensor:
    """[P,144] or [P,24] -> [P,24,6] or [P,24,1]."""
    return x.reshape(-1, _JOINTS, int(x.shape[1]) // _JOINTS)
