"""Training of the mesh-to-posture decoder along its own reverse path."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, SPARSE_LIMBS, CoarseMesh
from hmr_ros.body.model import BodyModel
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.methods.posturehmr.m2p import M2P, M2PSize, condition, new_m2p, token_adjacency
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D
from hmr_ros.methods.posturehmr.process import fk_state, reverse, step_times, vertex_state
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.train.data.batches import Batch, Mix, PairBank, with_true_keypoints
from hmr_ros.train.loop import Losses, Schedule, Validate, train

_COUNTS = (1, 2, 4, 10)  # step counts the weights must serve
_COUNT_SHARES = (0.35, 0.5, 0.1, 0.05)
_JOINTS = len(JOINT_IDS)
_WEIGHTS = {"posture": 1.0, "joint": 1.0, "vertex": 0.5, "edge": 0.5, "likelihood": 0.2}
_PATHS: dict[str, Callable[..., Tensor]] = {"fk": fk_state, "vertex": vertex_state}


@dataclass(frozen=True)
class Variant:
    """What the ablations change."""

    path: str = "fk"  # or "vertex": straight lines between the meshes
    bare_keypoints: bool = False  # condition on the landmarks instead of the 2D mesh


def train_m2p(
    bank: PairBank, held_back: PairBank, mesh2d: Mesh2D, body: BodyModel, mesh: CoarseMesh, size: M2PSize,
    schedule: Schedule, mix: Mix, variant: Variant, start: M2P | None = None,
) -> M2P:  # fmt: skip
    """Train a decoder, or `start` further.

    Losses of section 3.4: posture (Eq. 7), joints, dense vertices, edges, and the likelihood of the spread.

    The states are the decoder's own, not the true ones: a decoder that has only seen true states trusts them and never
    corrects its own errors. A random step of a random step count is trained each time.
    """
    torch.manual_seed(schedule.seed)
    model = new_m2p(size, body, mesh) if start is None else start
    adjacency = token_adjacency(mesh, mesh.points(body).template, size.points)
    rows = size.points
    path, device = _PATHS[variant.path], schedule.device
    posed, mesh2d = copy.deepcopy(bank.posed).to(device), copy.deepcopy(mesh2d).to(device)
    to_coarse = torch.as_tensor(mesh.sparse_to_coarse, dtype=torch.float32, device=device)
    edges = torch.as_tensor(np.argwhere(np.triu(adjacency, 1) > 0), device=device)

    @torch.no_grad()
    def prepare(rng: np.random.Generator) -> _Drawn:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch), rng, mix).to(device)
        count = int(rng.choice(_COUNTS, p=_COUNT_SHARES))
        times = step_times(count)
        at = count - 1 if rng.random() < 0.6 else int(rng.integers(count))
        given = _condition(mesh2d, batch, variant, rows)
        template = _state(path, posed, batch, 1.0, rows)
        return _Drawn(batch, given, times, at, template, _state(path, posed, batch, times[at + 1], rows))

    def step(net: nn.Module, drawn: _Drawn) -> Losses:
        decoder, times, at = _bound(net, drawn.given, drawn.batch), drawn.times, drawn.at
        with torch.no_grad():
            x = reverse(decoder, drawn.template, times[: at + 1])[0]
        result, log_spread = reverse(decoder, x, times[at : at + 2])
        return _losses(result, log_spread, drawn.truth, to_coarse, edges)

    validate = _validation(held_back, mesh2d, posed, variant, rows, device)
    trained = train(model, prepare, step, validate, schedule)
    assert isinstance(trained, M2P)
    return trained


def _validation(
    held_back: PairBank, mesh2d: Mesh2D, posed: PosedPoints, variant: Variant, rows: int, device: str
) -> Validate:
    """PA-MPJPE mm of the 12 limb joints in 1 and 2 steps, with BlazePose's ("seen") and with true key points."""
    index = np.arange(min(len(held_back), 1000))
    checks = {
        "seen": held_back.batch(index, np.random.default_rng(0), Mix(augment=False)).to(device),
        "true": with_true_keypoints(held_back, index, depth=False).to(device),
    }

    @torch.inference_mode()
    def validate(net: nn.Module) -> dict[str, float]:
        out = {}
        for name, check in checks.items():
            decoder = _bound(net, _condition(mesh2d, check, variant, rows), check)
            template = _state(_PATHS[variant.path], posed, check, 1.0, rows)
            target = _state(fk_state, posed, check, 0.0, NUM_SPARSE)[:, SPARSE_LIMBS].cpu().numpy()
            for count in (1, 2):
                joints = reverse(decoder, template, step_times(count))[0][:, SPARSE_LIMBS].cpu().numpy()
                out[f"{name}_{count}"] = float(procrustes_errors(joints, target).mean())
        return out

    return validate


@dataclass(frozen=True)
class _Drawn:
    """One step's people, their condition, and where on which path they are trained."""

    batch: Batch
    given: Tensor
    times: list[float]
    at: int
    template: Tensor
    truth: Tensor


@torch.no_grad()
def _condition(mesh2d: Mesh2D, batch: Batch, variant: Variant, rows: int) -> Tensor:
    if variant.bare_keypoints:
        return batch.points.flatten(1)
    return condition(mesh2d, batch.points, batch.log_scale, rows)


def _bound(net: nn.Module, given: Tensor, batch: Batch) -> Callable[..., tuple[Tensor, Tensor]]:
    """The decoder with its condition."""

    def decoder(x: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        change, log_spread = net(x, given, batch.log_scale, t, s)
        return change, log_spread

    return decoder


@torch.no_grad()
def _state(path: Callable[..., Tensor], posed: PosedPoints, batch: Batch, t: float, rows: int | None) -> Tensor:
    return path(posed, batch.pose, batch.betas, torch.full_like(batch.scale, t), rows)


def _losses(result: Tensor, log_spread: Tensor, truth: Tensor, to_coarse: Tensor, edges: Tensor) -> Losses:
    distance = (result - truth).norm(dim=-1)
    a, b = edges[:, 0], edges[:, 1]
    lengths = (result[:, a] - result[:, b]).norm(dim=-1), (truth[:, a] - truth[:, b]).norm(dim=-1)
    likelihood = distance * torch.exp(-log_spread) + 2 * log_spread
    losses = {
        "posture": distance.mean(),
        "joint": distance[:, :_JOINTS].mean(),
        "vertex": (to_coarse @ (result - truth)[:, :NUM_SPARSE]).abs().mean(),
        "edge": (lengths[0] - lengths[1]).abs().mean(),
        "likelihood": likelihood.mean(),
    }
    return {name: _WEIGHTS[name] * value for name, value in losses.items()}
