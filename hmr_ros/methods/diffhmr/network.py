"""Diff-HMR's network: how far a recovered pose may be off, and a denoiser of how (paper 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.diffusion.schedule import ALPHAS
from hmr_ros.evidence.features import NUM_FEATURES
from hmr_ros.networks.denoiser import Denoiser, Residual
from hmr_ros.networks.unet import UNet
from hmr_ros.networks.weights import read_weights

POSE_6D = 144
_JOINTS = POSE_6D // 6
_DROPOUT = 0.25  # rendered people are few enough to be learned by heart
MAX_Z = 8.0  # standard deviations; what lies farther off is taken to lie there
START = 990  # noise level of pure noise: above, next to nothing of x_0 is left for few steps to find


@dataclass(frozen=True)
class DiffHmrSize:
    """Widths, and what the ablations change."""

    features: int = NUM_FEATURES
    context: int = 512
    width: int = 320
    blocks: int = 3
    unet: bool = False  # the paper's 1D U-Net over the joints instead of the residual blocks
    whiten: bool = True  # diffuse (x_0 - recovered) / sigma; False: x_0 itself, as the paper does
    axis_angle: bool = False  # diffuse rotation vectors instead of 6D numbers

    @property
    def numbers(self) -> int:
        """How many numbers are diffused."""
        return _JOINTS * 3 if self.axis_angle else POSE_6D


class Encoder(nn.Module):
    """Features and recovered pose of one frame -> context [B,C], log spread [B,24] of the pose about it."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: DiffHmrSize) -> None:
        super().__init__()
        inputs, C = size.features + POSE_6D, size.context
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.enter, self.first, self.second = nn.Linear(inputs, C), Residual(C), Residual(C)
        self.norm, self.drop = nn.LayerNorm(C), nn.Dropout(_DROPOUT)
        self.log_sigma = nn.Linear(C, _JOINTS)

    def forward(self, features: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """`features` [B,768] as in `evidence_features`, `pose` [B,144] recovered from the same frame, both in the axes
        of the camera aimed at the person."""
        x = self.drop(((torch.cat([features, pose], -1) - self.mean) / self.std).clamp(-MAX_Z, MAX_Z))
        context = self.drop(self.norm(self.second(self.first(self.enter(x)))))
        return context, self.log_sigma(context).clamp(-5.0, 0.5)


class DiffHmr(nn.Module):
    """Encoder and denoiser under one name on disk, with the scales that make samples as wide as errors are."""

    temperature: Tensor
    spread: Tensor
    landmark_sigma: Tensor

    def __init__(self, size: DiffHmrSize) -> None:
        super().__init__()
        self.size = size
        self.encoder = Encoder(size)
        self.denoiser: Denoiser | UNet
        if size.unet:
            self.denoiser = UNet(_JOINTS, size.numbers // _JOINTS, size.context)
        else:
            self.denoiser = Denoiser(size.numbers, size.context, size.width, size.blocks)
        # [24] factor of each joint's rotation about the recovered one; [24] of the standard deviation of its position
        self.register_buffer("temperature", torch.ones(_JOINTS))
        self.register_buffer("spread", torch.ones(_JOINTS))
        # error of a limb landmark, in sizes of the person: of one seen for certain, and what doubt adds
        self.register_buffer("landmark_sigma", torch.tensor([0.05, 0.3]))


def noise_of(velocity: Tensor, x_t: Tensor, t: int) -> Tensor:
    """The noise (Eq. 4) that a predicted velocity means: v = sqrt(a) noise - sqrt(1 - a) x_0 (Salimans and Ho 2022),
    which unlike the noise still tells x_0 where x_t is all noise."""
    a = ALPHAS[t]
    return math.sqrt(1 - a) * x_t + math.sqrt(a) * velocity


def load_network(path: Path) -> DiffHmr:
    """The network of that file, in evaluation mode."""
    state, size, _ = read_weights(path, "diffhmr")
    network = DiffHmr(DiffHmrSize(**size))
    network.load_state_dict(state)
    return network.eval()
