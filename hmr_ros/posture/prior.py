"""The diffusion prior as calls on arrays: what the frames around say about a pose, and the noise in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.loading import asset
from hmr_ros.networks.prior import Prior, PriorSize
from hmr_ros.networks.weights import read_weights
from hmr_ros.types import Floats

SLOT_S = 1 / 30  # the frames around are looked at in steps of this time


@dataclass(frozen=True)
class Expected:
    """N poses that the evidence speaks for, axes of the aimed cameras."""

    pose: Tensor  # [N,144] 6D
    sigma: Tensor  # [N,24] spread of each joint's six numbers
    share: Tensor  # [N,K] what the denoiser needs of the evidence


class TorchPrior:
    """The prior in torch."""

    def __init__(self, network: Prior) -> None:
        self._network = network.eval()
        self.size = network.size
        self._times: dict[int, Tensor] = {}  # a sampler visits the same few noise levels again and again

    @torch.inference_mode()
    def expect(self, window: Tensor, poses: Tensor, present: Tensor) -> Expected:
        """`window` [N,S,768] features and `poses` [N,S,144] at steps of `SLOT_S`, `present` [N,S] which there are;
        poses in the axes of the camera aimed at the person now."""
        context, pose, log_sigma = self._network.evidence(window, poses, present)
        return Expected(pose, log_sigma.exp(), self._network.denoiser.share(context))

    @torch.inference_mode()
    def noise(self, x_t: Tensor, t: int, share: Tensor) -> Tensor:
        """Predicted noise [N,144] of `x_t` [N,144] (axes of the aimed cameras)."""
        if t not in self._times:
            self._times[t] = self._network.denoiser.times(torch.tensor([float(t)]))
        return self._network.denoiser.at(x_t, self._times[t], share)


def slots(features: Floats, seconds: Floats, at: float, size: PriorSize) -> tuple[Floats, Floats]:
    """Frames around the time `at` [s] on the prior's grid: window [S,D] and presence [S].

    `features` [F,D] seen at rising times `seconds` [F]. Between two frames they are interpolated; before the first and
    after the last there is nothing.
    """
    grid = at + (np.arange(size.slots) - (size.past - 1)) * SLOT_S
    slack = 0.3 * SLOT_S  # a camera's stamps are never quite even
    present = (grid >= seconds[0] - slack) & (grid <= seconds[-1] + slack)
    right = np.clip(np.searchsorted(seconds, grid), 1, max(1, len(seconds) - 1))
    left = right - 1
    right = np.minimum(right, len(seconds) - 1)
    span = np.maximum(seconds[right] - seconds[left], 1e-9)
    weight = np.clip((grid - seconds[left]) / span, 0.0, 1.0)[:, None]
    return (1 - weight) * features[left] + weight * features[right], present.astype(np.float64)


def load_prior(path: Path | None = None) -> TorchPrior:
    """The shipped weights, or those of `path`."""
    state, size, _ = read_weights(path or asset("prior.safetensors"), "prior")
    network = Prior(PriorSize(**size))
    network.load_state_dict(state)
    return TorchPrior(network)
