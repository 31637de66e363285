"""Sampling of Diff-HMR as one graph, noise included among its inputs: reproducible, and exported as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.diffusion.reprojection import Seen, keypoint_step
from hmr_ros.diffusion.sampler import sample
from hmr_ros.diffusion.schedule import falling
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d
from hmr_ros.io.model_store import asset
from hmr_ros.methods.diffhmr.hypotheses import hypotheses_signature
from hmr_ros.methods.diffhmr.network import MAX_Z, START, DiffHmr, load_network, noise_of
from hmr_ros.networks.denoiser import AXIS_6D
from hmr_ros.networks.kinematics import matrix_from_axis_angle
from hmr_ros.runtime.contract import Graph

LIMBS, LANDMARKS = SMPL_LIMBS.tolist(), BLAZEPOSE_LIMBS.tolist()
_RAYS = 24  # numbers of the noise that move the twelve landmarks
_ROUNDS = 2
PELVIS_HELD = 2500.0  # 1/m^2: where the person is, is the answer's own


class Sampler(nn.Module):
    """Evidence and noise -> as many poses as there are rows of noise (Eq. 3), and how far they spread."""

    def __init__(self, network: DiffHmr, steps: int) -> None:
        super().__init__()
        self._network = network.eval()
        self._falling = falling(START, steps)
        with torch.no_grad():  # the noise levels are always the same
            levels = network.denoiser.times(torch.tensor([float(t) for t in self._falling]))
        self._level = {t: k for k, t in enumerate(self._falling)}
        self.register_buffer("levels", levels)
        self.register_buffer("limbs", torch.tensor(LANDMARKS))  # on the device, for CUDA graphs

    def forward(
        self, features: Tensor, pose: Tensor, noise: Tensor, bones: Tensor, pelvis: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One row a hypothesis. `features` [B,768], recovered `pose` [B,144], `noise` [B,D+24], `bones` [B,24,3] m,
        `pelvis` [B,3] m, axes of the aimed cameras -> sampled rotations [B,24,3,3], factor [B,24] of the
        standard deviation of the sampled joints."""
        context, log_spread = self._network.encoder(features, pose)
        sigma = AXIS_6D * log_spread.exp() * self._network.temperature
        sampled = decoded(self._network, self.draw(context, noise[:, :-_RAYS]), pose, sigma)
        sampled = self.seen(sampled, noise[:, -_RAYS:], features, sigma, bones, pelvis)
        return sampled, self._network.spread + 0.0 * sigma

    def seen(
        self, sampled: Tensor, noise: Tensor, features: Tensor, sigma: Tensor, bones: Tensor, pelvis: Tensor
    ) -> Tensor:
        """Samples [B,24,3,3] turned until each explains the limb landmarks up to their own errors, which `noise`
        [B,24] draws; joints turn the more, the larger their `sigma` [B,24]."""
        landmarks = features[:, : 33 * 6].reshape(-1, 33, 6).index_select(1, self.get_buffer("limbs"))
        scale = features[:, 33 * 6].exp()
        off = landmark_sigma(self._network, landmarks[..., 2]) * scale[:, None]  # [B,12] on the plane z = 1
        rays = scale[:, None, None] * landmarks[..., :2] + off[..., None] * noise.reshape(-1, len(LIMBS), 2)
        keypoints = Seen(rays, 1 / off, 100 * scale, torch.eye(3), torch.zeros(3))
        firm, held = 4 / 3 * sigma**-2, 0 * pelvis + PELVIS_HELD
        skeleton, at = Skeleton(bones), pelvis
        for _ in range(_ROUNDS):
            x, at = keypoint_step(skeleton.pose(sampled), sampled, at, LIMBS, [keypoints], firm, held)
            sampled = rotations_from_6d(x)
        return sampled

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        """Deterministic DDIM from `noise` [B,D] at t = T to x_0 [B,D]."""
        denoiser = self._network.denoiser
        conditioning = denoiser.conditioning(context)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            level = self.get_buffer("levels")[self._level[t]][None]
            return noise_of(denoiser.at(x_t, level, conditioning), x_t, t)

        return sample(noise, denoise, self._falling, bound=MAX_Z)


def decoded(network: DiffHmr, x0: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """What was diffused, [B,D], -> rotations [B,24,3,3]; `mean` [B,144] and `sigma` [B,24] of the six numbers where it
    is the whitened residual."""
    if network.size.axis_angle:
        return matrix_from_axis_angle(x0.reshape(*x0.shape[:-1], 24, 3))
    if network.size.whiten:
        x0 = mean + sigma.repeat_interleave(6, 1) * x0  # an axis counted from the front, for the exporter
    return rotations_from_6d(x0)


def landmark_sigma(network: DiffHmr, confidence: Tensor) -> Tensor:
    """Standard deviation an axis of landmarks of so much confidence [...], in sizes of the person."""
    clear, doubt = network.landmark_sigma
    return clear + doubt * (1 - confidence).square()


def hypotheses_graph(steps: int, weights: Mapping[str, Path]) -> Graph:
    """Sampling in so many steps; `weights` may name another file for diffhmr."""
    path = weights.get("diffhmr") or asset("diffhmr.safetensors")
    network = load_network(path)
    signature = hypotheses_signature(network.size.features, network.size.numbers)
    return Graph(Sampler(network, steps), signature, (path,), {"steps": steps})
