"""The diffusion prior as calls on arrays: what the frames around say about a pose, and the noise in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hmr_ros.body.loading import asset
from hmr_ros.networks.prior import Prior, PriorSize
from hmr_ros.networks.weights import read_weights


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
        """`window` [N,S,768] features and `poses` [N,S,144] on the grid of `slots`, `present` [N,S] which there are;
        poses in the axes of the camera aimed at the person now."""
        context, pose, log_sigma = self._network.evidence(window, poses, present)
        return Expected(pose, log_sigma.exp(), self._network.denoiser.share(context))

    @torch.inference_mode()
    def noise(self, x_t: Tensor, t: int, share: Tensor) -> Tensor:
        """Predicted noise [N,144] of `x_t` [N,144] (axes of the aimed cameras)."""
        if t not in self._times:
            self._times[t] = self._network.denoiser.times(torch.tensor([float(t)]))
        return self._network.denoiser.at(x_t, self._times[t], share)


def load_network(path: Path) -> Prior:
    """The network of that file, in evaluation mode."""
    state, size, _ = read_weights(path, "prior")
    network = Prior(PriorSize(**size))
    network.load_state_dict(state)
    return network.eval()


def load_prior(path: Path | None = None) -> TorchPrior:
    """The shipped weights, or those of `path`."""
    return TorchPrior(load_network(path or asset("prior.safetensors")))
