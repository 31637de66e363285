"""HMDiff as a graph that engines run and `hmr export` writes: one call of the denoiser for S samples a person, and the
depth distribution. Noise and step are inputs; the loop with its alignment stands in `alignment.py`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, CoarseMesh, coarse_of
from hmr_ros.body.loading import load_body
from hmr_ros.io.model_store import asset
from hmr_ros.methods.hmdiff.network import LEVELS, Hmdiff, load_hmdiff
from hmr_ros.methods.hmdiff.source import hmdiff_signature
from hmr_ros.methods.posturehmr.m2p import condition
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D, load_mesh2d
from hmr_ros.runtime.contract import Graph
from hmr_ros.types import Floats


class HmdiffModule(nn.Module):
    """2D mesh, denoiser and depth distribution as one graph."""

    mixture: Tensor
    nearest: Tensor

    def __init__(self, mesh2d: Mesh2D, network: Hmdiff, mesh: CoarseMesh) -> None:
        super().__init__()
        self._mesh2d, self.network = mesh2d.eval(), network.eval()
        mixture = torch.as_tensor(sparse_mixture(mesh2d, mesh), dtype=torch.float32)
        self.register_buffer("mixture", mixture, persistent=False)
        between = [(a + b) / 2 for a, b in pairwise(LEVELS)]
        self.register_buffer("nearest", torch.tensor(between), persistent=False)

    def forward(
        self, points: Tensor, log_scale: Tensor, state: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Landmarks `points` [B,33,6], `log_scale` [B], h_k [B,S,81,3], k [B] -> the outputs of `hmdiff_signature`."""
        seen = condition(self._mesh2d, points, log_scale, NUM_SPARSE)
        v, log_spread = self.network(state, time, points, log_scale, seen)
        clean = self.network.noise_and_clean(state, v, time)[1]
        sigma = log_spread.exp().mean(1)  # [B,81,3], of samples that hardly differ in it
        level = (time[:, None] < self.nearest).sum(1)
        factor = self.network.factors[level] * sigma.flatten(1)[..., None]
        depth = self.network.depth_logits(points, log_scale).softmax(-1)
        return clean, factor, sigma, depth, self.mixture.expand(points.shape[0], -1, -1)


def sparse_mixture(mesh2d: Mesh2D, mesh: CoarseMesh) -> Floats:
    """[33,81] which mixture of the sparse points each landmark is."""
    joints = len(JOINT_IDS)
    landmarks = mesh2d.landmarks.double().numpy()
    mixture = landmarks[:, joints:] @ mesh.sparse_to_coarse
    mixture[:, :joints] += landmarks[:, :joints]
    return np.asarray(mixture)


def hmdiff_graph(samples: int, weights: Mapping[str, Path]) -> Graph:
    """One call of the denoiser; `weights` may name other files for mesh2d and hmdiff."""
    files = [weights.get(name) or asset(f"{name}.safetensors") for name in ("mesh2d", "hmdiff")]
    body = load_body(None)
    module = HmdiffModule(load_mesh2d(files[0]), load_hmdiff(files[1]), coarse_of(body))
    sources = (*files, asset("open_body.npz"), asset("open_coarse.npz"))
    return Graph(module, hmdiff_signature(samples), sources, {"samples": samples})


def torch_pullback(module: HmdiffModule, points: Floats, log_scale: Floats) -> _Pullback:
    """Gradients through the denoiser for people with these landmarks; see `alignment.Pullback`."""
    given = (torch.as_tensor(a, dtype=torch.float32) for a in (points, log_scale))
    return _Pullback(module, *given)


class _Pullback:
    def __init__(self, module: HmdiffModule, points: Tensor, log_scale: Tensor) -> None:
        self._module, self._given = module, (points, log_scale)

    def __call__(self, h: Floats, t: int, for_clean: Floats) -> Floats:
        """Transposed Jacobian of h0-hat times `for_clean` [N,S,81,3]."""
        state = torch.as_tensor(h, dtype=torch.float32).requires_grad_()
        clean = self._module(*self._given, state, torch.full((len(state),), float(t)))[0]
        (gradient,) = torch.autograd.grad(clean, state, torch.as_tensor(for_clean, dtype=torch.float32))
        return gradient.double().numpy()
