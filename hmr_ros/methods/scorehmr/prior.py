"""The diffusion prior: the noise in a 6D pose, given what the frames around say (ScoreHMR section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.io.model_store import asset
from hmr_ros.networks.denoiser import AXIS_6D, Denoiser, Residual
from hmr_ros.networks.weights import read_weights

POSE_6D = 144
_JOINTS = POSE_6D // 6
_DROPOUT = 0.1  # the training motions are few enough to be learned by heart


@dataclass(frozen=True)
class PriorSize:
    """Widths, and how many frames around the one in question are looked at."""

    features: int = 768
    past: int = 10  # slots of 1/30 s, the frame itself included
    future: int = 4
    frame: int = 256
    token: int = 64
    context: int = 512
    width: int = 256
    blocks: int = 3

    @property
    def slots(self) -> int:
        """Frames that the encoder sees."""
        return self.past + self.future


class Evidence(nn.Module):
    """Frames around one -> context [B,C], pose [B,144], log spread [B,24] (`AXIS_6D`).

    Slot `past - 1` is the frame itself. The pose is the mean of what the evidence allows, where guidance starts: the
    poses recovered in the frames around, filtered with weights that the evidence chooses for each joint, and a
    correction.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: PriorSize) -> None:
        super().__init__()
        self.size = size
        F, S, C = size.features + POSE_6D, size.slots, size.context
        self.register_buffer("mean", torch.zeros(F))
        self.register_buffer("std", torch.ones(F))
        self.frame = nn.Sequential(nn.Linear(F, size.frame), nn.GELU(), nn.Linear(size.frame, size.token))
        self.own = nn.Linear(F, C)
        self.mix = nn.Linear(S * (size.token + 1), C)
        self.first, self.second = Residual(C), Residual(C)
        self.norm, self.drop = nn.LayerNorm(C), nn.Dropout(_DROPOUT)
        self.weights, self.correction = nn.Linear(C, _JOINTS * S), nn.Linear(C, POSE_6D)
        self.log_sigma = nn.Linear(C, _JOINTS)
        for layer in (self.weights, self.correction):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, window: Tensor, poses: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`window` [B,S,768] features, `poses` [B,S,144] recovered in these frames (axes of the frame in question),
        `present` [B,S]; absent slots may hold anything finite."""
        x = self.drop(((torch.cat([window, poses], -1) - self.mean) / self.std).clamp(-8.0, 8.0))
        tokens = self.frame(x) * present[..., None]
        mixed = torch.cat([tokens.flatten(1), present], 1)
        h = self.own(x[:, self.size.past - 1]) + self.mix(mixed)
        context = self.drop(self.norm(self.second(self.first(h))))
        pose = self._filtered(context, poses, present) + self.correction(context)
        return context, pose, self.log_sigma(context).clamp(-5.0, 1.0)

    def _filtered(self, context: Tensor, poses: Tensor, present: Tensor) -> Tensor:
        """Weighted sum [B,144] of the slots' poses; the weights of a joint sum to one and may be negative."""
        S = self.size.slots
        free = self.weights(context).reshape(-1, _JOINTS, S) * present[:, None]
        free = free - present[:, None] * free.sum(-1, keepdim=True) / present.sum(-1)[:, None, None]
        filtered = (free.transpose(1, 2)[..., None] * poses.reshape(-1, S, _JOINTS, 6)).sum(1)
        return filtered.reshape(-1, POSE_6D) + poses[:, self.size.past - 1]


class Prior(nn.Module):
    """Both parts under one name on disk."""

    def __init__(self, size: PriorSize) -> None:
        super().__init__()
        self.size = size
        self.evidence = Evidence(size)
        self.denoiser = Denoiser(POSE_6D, size.context, size.width, size.blocks)


@dataclass(frozen=True)
class Expected:
    """N poses that the evidence speaks for, axes of the aimed cameras."""

    pose: Tensor  # [N,144] 6D
    sigma: Tensor  # [N,24] one standard deviation of each of a joint's six numbers
    conditioning: Tensor  # [N,K] what the denoiser needs of the evidence


class TorchPrior:
    """The prior in torch."""

    def __init__(self, network: Prior) -> None:
        self._network = network.eval()
        self.size = network.size
        self._times: dict[int, Tensor] = {}  # a sampler visits the same few noise levels again and again

    @torch.inference_mode()
    def expect(self, window: Tensor, poses: Tensor, present: Tensor) -> Expected:
        """`window` [N,S,768] features and `poses` [N,S,144] on the grid of `slots`, `present` [N,S] which there are;
        poses in the axes of the camera aimed at the person now."""
        context, pose, log_spread = self._network.evidence(window, poses, present)
        return Expected(pose, AXIS_6D * log_spread.exp(), self._network.denoiser.conditioning(context))

    @torch.inference_mode()
    def noise(self, x_t: Tensor, t: int, conditioning: Tensor) -> Tensor:
        """Predicted noise [N,144] of `x_t` [N,144] (axes of the aimed cameras)."""
        if t not in self._times:
            self._times[t] = self._network.denoiser.times(torch.tensor([float(t)]))
        return self._network.denoiser.at(x_t, self._times[t], conditioning)


def load_network(path: Path) -> Prior:
    """The network of that file, in evaluation mode."""
    state, size, _ = read_weights(path, "prior")
    network = Prior(PriorSize(**size))
    network.load_state_dict(state)
    return network.eval()


def load_prior(path: Path | None = None) -> TorchPrior:
    """The shipped weights, or those of `path`."""
    return TorchPrior(load_network(path or asset("prior.safetensors")))
