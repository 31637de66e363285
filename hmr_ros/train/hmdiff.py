"""Training of HMDiff: the noise of the 81 points, their depth distribution, and the one-step baseline."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, SPARSE_LIMBS, CoarseMesh
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.schedule import STEPS
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.methods.hmdiff.network import COORDINATES, LEVELS, Hmdiff, HmdiffSize
from hmr_ros.methods.hmdiff.source import DEPTH_M, NUM_BINS, RANK, UNIT_M
from hmr_ros.methods.posturehmr.m2p import condition, token_adjacency
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.train.data.batches import Batch, Mix, PairBank
from hmr_ros.train.loop import Losses, Schedule, Validate, train

_JOINTS = len(JOINT_IDS)
_START_SHARE = 0.35  # of the samples at k = K, where sampling starts and nothing of the person is left
_WEIGHTS = {"noise": 0.5, "point": 1.0, "joint": 1.0, "edge": 0.5, "spread": 0.03, "depth": 0.05}
_MEASURED = 1000  # people whose errors make the covariance
_FLOOR = 1e-3


@dataclass(frozen=True)
class _Drawn:
    """One step's people."""

    batch: Batch
    seen: Tensor  # [B,81,6]
    truth: Tensor  # [B,81,3] in units of UNIT_M
    time: Tensor  # [B]
    noise: Tensor  # [B,S,81,3]


def train_hmdiff(
    bank: PairBank, held_back: PairBank, mesh2d: Mesh2D, body: BodyModel, mesh: CoarseMesh, size: HmdiffSize,
    schedule: Schedule, mix: Mix, *, one_step: bool = False, start: Hmdiff | None = None,
) -> Hmdiff:  # fmt: skip
    """Train a network, or `start` further.

    L_Diff with the noise as target (Eq. 6-7 need noise, not h_(k-1) - h_k as the paper's formula says), weighted as the
    error of v: one over alpha_k, so that the noisiest steps count. Beside it section 4.4's losses of h0-hat: points,
    joints, edges; the likelihood of its spread; the cross-entropy of the depth bins.

    `one_step`: the baseline, the same network at k = K without noise, trained on h0-hat alone.
    """
    torch.manual_seed(schedule.seed)
    model = Hmdiff(size) if start is None else start
    device = schedule.device
    posed, mesh2d = copy.deepcopy(bank.posed).to(device), copy.deepcopy(mesh2d).to(device)
    edges = np.argwhere(np.triu(token_adjacency(mesh, mesh.points(body).template, NUM_SPARSE), 1) > 0)
    draw = partial(_draw, mesh2d=mesh2d, posed=posed, one_step=one_step)

    def prepare(rng: np.random.Generator) -> _Drawn:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch), rng, mix).to(device)
        return draw(batch, rng)

    step = partial(_step, edges=torch.as_tensor(edges, device=device), one_step=one_step)
    trained = train(model, prepare, step, _validation(held_back, draw, device), schedule)
    assert isinstance(trained, Hmdiff)
    if not one_step:
        _measure(trained, bank, mix, draw, np.random.default_rng([schedule.seed, 1]), device)
    return trained


@torch.no_grad()
def _draw(batch: Batch, rng: np.random.Generator, *, mesh2d: Mesh2D, posed: PosedPoints, one_step: bool) -> _Drawn:
    seen = condition(mesh2d, batch.points, batch.log_scale, NUM_SPARSE)
    truth = fk_state(posed, batch.pose, batch.betas, torch.zeros_like(batch.scale), NUM_SPARSE) / UNIT_M
    count = len(truth)
    start = rng.random(count) < _START_SHARE
    time = np.where(start | one_step, STEPS, rng.integers(1, STEPS + 1, count))
    noise = rng.standard_normal((count, 1, NUM_SPARSE, 3), np.float32)
    tensors = (torch.as_tensor(a, dtype=torch.float32, device=truth.device) for a in (time, noise * (not one_step)))
    return _Drawn(batch, seen, truth, *tensors)


def _step(net: nn.Module, drawn: _Drawn, *, edges: Tensor, one_step: bool) -> Losses:
    assert isinstance(net, Hmdiff)
    batch, truth = drawn.batch, drawn.truth[:, None]
    a = net.alphas[drawn.time.long()][:, None, None, None]
    state = a.sqrt() * truth + (1 - a).sqrt() * drawn.noise if not one_step else drawn.noise
    v, log_spread = net(state, drawn.time, batch.points, batch.log_scale, drawn.seen)
    clean = net.noise_and_clean(state, v, drawn.time)[1]
    error = UNIT_M * (clean - truth)
    distance = (error.square().sum(-1) + 1e-8).sqrt()
    i, j = edges[:, 0], edges[:, 1]
    lengths = [(p[..., i, :] - p[..., j, :]).norm(dim=-1) for p in (clean, truth)]
    certain = (error.detach() / UNIT_M).square() * torch.exp(-2 * log_spread)
    logits = net.depth_logits(batch.points, batch.log_scale)
    losses = {
        "point": distance.mean(), "joint": distance[..., :_JOINTS].mean(),
        "edge": UNIT_M * (lengths[0] - lengths[1]).abs().mean(),
        "spread": (0.5 * certain + log_spread).mean(),
        "depth": functional.cross_entropy(logits.flatten(0, 1), depth_bins(drawn.truth * UNIT_M).flatten()),
    }  # fmt: skip
    if not one_step:
        target = a.sqrt() * drawn.noise - (1 - a).sqrt() * truth
        losses["noise"] = (v - target).square().mean()
    return {name: _WEIGHTS[name] * value for name, value in losses.items()}


def depth_bins(points: Tensor) -> Tensor:
    """Bin [B,17] of each joint's depth; `points` [B,81,3] m, pelvis at the origin."""
    z = points[:, :_JOINTS, 2] - points[:, :1, 2]
    return ((z + DEPTH_M) * (NUM_BINS / (2 * DEPTH_M))).floor().long().clamp(0, NUM_BINS - 1)


def _validation(held_back: PairBank, draw: partial[_Drawn], device: str) -> Validate:
    """PA-MPJPE mm of the 12 limb joints of h0-hat from pure noise, and the error of v over all k."""
    index = np.arange(min(len(held_back), 1000))
    batch = held_back.batch(index, np.random.default_rng(0), Mix(augment=False)).to(device)
    drawn = draw(batch, np.random.default_rng(0))

    @torch.inference_mode()
    def validate(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, Hmdiff)
        time = torch.full_like(drawn.time, STEPS)
        state = drawn.noise[:, :1]
        v, _ = net(state, time, batch.points, batch.log_scale, drawn.seen)
        clean = net.noise_and_clean(state, v, time)[1]
        truth = drawn.truth
        limbs = [(UNIT_M * p)[:, SPARSE_LIMBS].cpu().numpy() for p in (clean[:, 0], truth)]
        out = {"first": float(procrustes_errors(limbs[0], limbs[1]).mean())}
        a = net.alphas[drawn.time.long()][:, None, None, None]
        state = a.sqrt() * truth[:, None] + (1 - a).sqrt() * drawn.noise
        v, _ = net(state, drawn.time, batch.points, batch.log_scale, drawn.seen)
        out["v"] = float((v - a.sqrt() * drawn.noise + (1 - a).sqrt() * truth[:, None]).square().mean())
        return out

    return validate


@torch.no_grad()
def _measure(
    net: Hmdiff, bank: PairBank, mix: Mix, draw: partial[_Drawn], rng: np.random.Generator, device: str
) -> None:
    """The correlation of the errors of h0-hat, in units of their spread, as `net.factors`."""
    count = min(_MEASURED, 8 * len(bank))
    for level, t in enumerate(LEVELS):
        drawn = draw(bank.batch(rng.integers(0, len(bank), count), rng, mix).to(device), rng)
        batch, truth = drawn.batch, drawn.truth[:, None]
        time = torch.full_like(drawn.time, t)
        a = net.alphas[t]
        state = a.sqrt() * truth + (1 - a).sqrt() * drawn.noise[:, :1]
        parts = []
        for start in range(0, count, 250):
            rows = slice(start, start + 250)
            v, log_spread = net(
                state[rows], time[rows], batch.points[rows], batch.log_scale[rows], drawn.seen[rows]
            )  # fmt: skip
            clean = net.noise_and_clean(state[rows], v, time[rows])[1]
            parts.append(((truth[rows] - clean) * torch.exp(-log_spread)).flatten(1))
        error = torch.cat(parts).clamp(-3.0, 3.0)
        values, vectors = torch.linalg.eigh(error.T @ error / len(error))
        assert vectors.shape == (COORDINATES, COORDINATES)
        net.factors[level] = vectors[:, -RANK:] * values[-RANK:].clamp(_FLOOR).sqrt()
