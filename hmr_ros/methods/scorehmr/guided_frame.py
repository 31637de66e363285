"""One guided frame of live refinement as one module: exported as it is, so that a robot needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.diffusion.sampler import noised, predicted_x0, spread, towards
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d, to_6d
from hmr_ros.diffusion.smoothing import newest_rows, speed_changes
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.methods.scorehmr.guidance import (
    by_joint,
    fused_poses,
    keypoints_at,
    stiffness,
    towards_keypoints,
    turn_root,
)
from hmr_ros.methods.scorehmr.prior import POSE_6D, Prior, load_network
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.methods.scorehmr.streaming import PAST, refine_signature
from hmr_ros.networks.denoiser import AXIS_6D
from hmr_ros.runtime.contract import Graph

_JOINTS = POSE_6D // 6


class GuidedFrame(nn.Module):
    """What the frames around say (the prior's evidence), steady motion over the window, then guided DDIM steps.

    The window's quadratic energy is minimised in closed form; all its older rows are free, so that only the newest
    needs sampling. Poses in 6D and camera axes.
    """

    def __init__(self, prior: Prior, guidance: Guidance) -> None:
        super().__init__()
        self._prior, self._guidance = prior, guidance
        self._falling = falling = guidance.levels
        if min(guidance.motion.change, guidance.depth.change) < math.inf:
            raise ValueError("a live window is held by its speeds alone; leave `change` infinite")
        with torch.no_grad():  # a frame visits the same few noise levels again and again
            levels = prior.denoiser.times(torch.tensor([float(t) for t in [0, *falling]]))
        self._level = {t: k for k, t in enumerate([0, *falling])}
        self.register_buffer("levels", levels)

    def forward(
        self, window: Tensor, poses: Tensor, known: Tensor, aim: Tensor, means: Tensor, precisions: Tensor,
        present: Tensor, seconds: Tensor, log_depth: Tensor, rays: Tensor, confidence: Tensor, bones: Tensor,
        recovered: Tensor, sigma_ray: Tensor, floor: Tensor, measured: Tensor, trust: Tensor, depths: Tensor,
        depth_weights: Tensor, sigma_depth: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """P people. What the newest frame's surroundings are: `window` [P,S,768], recovered `poses` [P,S,144], `known`
        [P,S], `aim` [P,3,3] aimed camera -> camera. The older rows of the window: `means` [P,W-1,144], `precisions`
        [P,W-1,24]. All rows: `present` [P,W], `seconds` [P,W-1] between them, `log_depth` [P,W] of the pelvis. The
        newest: `rays` [P,12,2] and `confidence` [P,12] of the limb joints, `bones` [P,24,3] m, `recovered` [P,3] m
        pelvis, `sigma_ray` [P] m, `floor` [P] 1/rad^2. What was measured of it: a pose `measured` [P,144] with
        precision `trust` [P,24], `depths` [P,12] m of the limb joints with `depth_weights` [P,12] 1/m, all 0 where
        nothing was; `sigma_depth` [P] of the logarithm of the pelvis' depth in a frame.

        Returns local rotations [P,24,3,3], pelvis [P,3] m, and for later frames mean [P,144] and precision [P,24].
        """
        back = aim.transpose(1, 2)
        context, pose, log_spread = self._prior.evidence(window, turn_root(poses, back[:, None]), known)
        conditioning = self._prior.denoiser.conditioning(context)
        mean, precision = fused_poses(turn_root(pose, aim), torch.exp(-2 * log_spread) / AXIS_6D**2, measured, trust)
        steady = _steady(
            torch.cat([means, mean[:, None]], 1), torch.cat([precisions, precision[:, None]], 1), log_depth,
            sigma_depth, seconds, present, self._guidance,
        )  # fmt: skip
        seen = keypoints_at(rays, confidence, steady.depth, sigma_ray[:, None], self._guidance.outlier)
        seen = replace(seen, depths=depths, depth_weights=depth_weights)
        expected = turn_root(steady.pose, back)
        skeleton = Skeleton(bones)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            times = self.get_buffer("levels")[self._level[t]][None]
            return self._prior.denoiser.at(x_t, times, conditioning)

        # the poses that are diffused stay in the axes of the aimed camera, as the denoiser wants them
        x = noised(expected, denoise(expected, 0), self._guidance.tau)
        for t, s in pairwise(self._falling):
            clean = predicted_x0(x, denoise(x, t), t)
            prior = self._guidance.prior / spread(t) ** 2
            held = steady.held + prior
            share = by_joint(steady.held / held)
            pulled = by_joint(clean) + share * by_joint(expected - clean)
            turned, pelvis = towards_keypoints(
                rotations_from_6d(pulled.reshape(-1, POSE_6D)), skeleton, seen, recovered, steady.depth,
                sigma_ray[:, None], stiffness(held, floor[:, None]), aim,
            )  # fmt: skip
            if s:
                x = towards(x, to_6d(turned), t, s)
        rotations = torch.cat([aim[:, None] @ turned[:, :1], turned[:, 1:]], 1)
        return rotations, pelvis, mean, precision


@dataclass(frozen=True)
class _Steady:
    """What evidence and steady motion over the window say of the newest frame."""

    pose: Tensor  # [P,144]
    held: Tensor  # [P,24] how firmly, of the six numbers of each joint
    depth: Tensor  # [P] m of the pelvis


def _steady(
    means: Tensor, precisions: Tensor, log_depth: Tensor, sigma_depth: Tensor, seconds: Tensor, present: Tensor,
    guidance: Guidance,
) -> _Steady:  # fmt: skip
    """Poses `means` [P,W,144] with `precisions` [P,W,24], and the logarithm of the pelvis' depth [P,W] as the first
    number of one more joint."""
    frames = guidance.frames
    last = log_depth[:, -1:]  # differences to it: float32 keeps them better
    first = torch.eye(6, device=means.device)[0]
    depths = (log_depth - last)[..., None, None] * first
    firm = torch.full((frames, 1), guidance.depth.speed**2, device=means.device) / (sigma_depth**2)[:, None, None]
    x, held = newest_rows(
        torch.cat([means.reshape(-1, frames, _JOINTS, 6), depths], 2),
        torch.cat([guidance.motion.speed**2 * precisions, firm], 2),
        speed_changes(seconds, present),
    )
    pose, depth = torch.split(x, [_JOINTS, 1], 1)
    held = held[:, :_JOINTS] / guidance.motion.speed**2
    return _Steady(pose.reshape(-1, POSE_6D), held, torch.exp(last[:, 0] + depth[:, 0, 0]))


def refine_graph(frames: int, weights: Mapping[str, Path]) -> Graph:
    """A guided frame over a window of so many frames; `weights` may name another file for prior."""
    path = weights.get("prior") or asset("prior.safetensors")
    network = load_network(path)
    size = network.size
    if size.past != PAST:
        raise AssetError(f"{path.name} sees {size.past} slots up to the frame, not {PAST}; train it again")
    module = GuidedFrame(network, Guidance(frames=frames))
    return Graph(module, refine_signature(size.slots, size.features, frames), (path,), {"frames": frames, "past": PAST})
