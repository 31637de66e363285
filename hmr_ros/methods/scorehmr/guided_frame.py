"""One guided frame of live refinement as one module: exported as it is, so that a robot needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.diffusion.reprojection import Seen
from hmr_ros.diffusion.sampler import invert, sample, spread
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.methods.scorehmr.guidance import (
    depth_energy,
    fused_poses,
    keypoints_at,
    stiffness,
    towards_keypoints,
    turn_root,
)
from hmr_ros.methods.scorehmr.prior import Prior, load_network
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.methods.scorehmr.streaming import PAST, refine_signature
from hmr_ros.networks.denoiser import AXIS_6D
from hmr_ros.runtime.contract import Graph


class GuidedFrame(nn.Module):
    """What the frames around say (the prior's evidence), steady motion over the window, then guided DDIM steps.

    The window's quadratic energy is minimised in closed form; all its older rows are free, so that only the newest
    needs sampling. Poses in 6D and camera axes.
    """

    def __init__(self, prior: Prior, guidance: Guidance) -> None:
        super().__init__()
        self._prior, self._guidance = prior, guidance
        self._falling = falling = guidance.levels
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
        context, pose, log_spread = self._prior.evidence(window, turn_root(poses, aim.transpose(1, 2)[:, None]), known)
        conditioning = self._prior.denoiser.conditioning(context)
        mean, precision = fused_poses(turn_root(pose, aim), torch.exp(-2 * log_spread) / AXIS_6D**2, measured, trust)
        x, held = NewtonWindow(
            torch.cat([means, mean[:, None]], 1), torch.cat([precisions, precision[:, None]], 1),
            couplings(seconds, present, *self._guidance.motion),
        ).newest()  # fmt: skip
        last = log_depth[:, -1:]  # differences to it: float32 keeps them better
        energy = depth_energy(log_depth - last, seconds, present, self._guidance, sigma_depth[:, None, None])
        depth = torch.exp(last + energy.newest()[0])[:, 0]
        seen = keypoints_at(rays, confidence, depth, sigma_ray[:, None], self._guidance.outlier)
        seen = replace(seen, depths=depths, depth_weights=depth_weights)
        target = _Newest(x, held, depth, seen, bones, recovered, sigma_ray, floor, self._guidance)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            times = self.get_buffer("levels")[self._level[t]][None]
            aimed = turn_root(x_t, aim.transpose(1, 2))
            return turn_root(self._prior.denoiser.at(aimed, times, conditioning), aim)

        x = invert(x, denoise, [0, self._guidance.tau])
        x = sample(x, denoise, self._falling, step=target.step)
        return rotations_from_6d(x), target.pelvis, mean, precision


class _Newest:
    """What the newest frame shall agree with."""

    def __init__(
        self, x: Tensor, held: Tensor, depth: Tensor, seen: Seen, bones: Tensor, recovered: Tensor, sigma_ray: Tensor,
        floor: Tensor, guidance: Guidance,
    ) -> None:  # fmt: skip
        self._x, self._held, self._floor, self._prior = x, held, floor[:, None], guidance.prior
        self._depth, self._recovered, self._sigma_ray = depth, recovered, sigma_ray[:, None]
        self._skeleton = Skeleton(bones)
        self._seen, self.pelvis = seen, recovered

    def step(self, x: Tensor, t: int) -> Tensor:
        """[P,144] from x0-hat to what window, key points and x0-hat itself agree on; places the pelvis."""
        prior = self._prior / spread(t) ** 2
        held = self._held + prior
        share = (self._held / held).repeat_interleave(6, 1)
        rotations = rotations_from_6d(x + share * (self._x - x))
        moved, self.pelvis = towards_keypoints(
            rotations, self._skeleton, self._seen, self._recovered, self._depth, self._sigma_ray,
            stiffness(held, self._floor),
        )  # fmt: skip
        return moved - x


def refine_graph(frames: int, weights: Mapping[str, Path]) -> Graph:
    """A guided frame over a window of so many frames; `weights` may name another file for prior."""
    path = weights.get("prior") or asset("prior.safetensors")
    network = load_network(path)
    size = network.size
    if size.past != PAST:
        raise AssetError(f"{path.name} sees {size.past} slots up to the frame, not {PAST}; train it again")
    module = GuidedFrame(network, Guidance(frames=frames))
    return Graph(module, refine_signature(size.slots, size.features, frames), (path,), {"frames": frames, "past": PAST})
