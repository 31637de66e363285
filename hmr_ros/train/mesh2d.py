"""Training of the 2D mesh network on what BlazePose says about rendered people."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.methods.posturehmr.mesh2d import Mesh2D, Mesh2DSize
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.train.data.batches import Batch, Mix, PairBank
from hmr_ros.train.loop import Losses, Schedule, train

_MAX_ERROR = 1.0  # a person whose landmarks are a whole body away teaches nothing


def train_mesh2d(
    bank: PairBank, held_back: PairBank, size: Mesh2DSize, schedule: Schedule, mix: Mix, start: Mesh2D | None = None
) -> Mesh2D:
    """Negative log likelihood of the true 2D points under a Laplace distribution a point; goes on from `start`."""
    torch.manual_seed(schedule.seed)
    model = Mesh2D(size) if start is None else start
    model.landmarks.copy_(torch.as_tensor(bank.landmarks))
    device = schedule.device
    posed = copy.deepcopy(bank.posed).to(device)

    def prepare(rng: np.random.Generator) -> tuple[Batch, Tensor]:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch), rng, mix).to(device)
        return batch, true_points_2d(posed, batch)

    def step(net: nn.Module, drawn: tuple[Batch, Tensor]) -> Losses:
        batch, truth = drawn
        uv, log_spread, _ = net(batch.points, batch.log_scale)
        error = (uv - truth).norm(dim=-1).clamp(max=_MAX_ERROR)
        return {"nll": (error * torch.exp(-log_spread) + 2 * log_spread).mean(), "l1": 4.0 * error.mean()}

    check = held_back.batch(np.arange(min(len(held_back), 1000)), np.random.default_rng(0), Mix(augment=False)).to(
        device
    )
    target = true_points_2d(posed, check)

    @torch.inference_mode()
    def validate(net: nn.Module) -> dict[str, float]:
        uv, _, _ = net(check.points, check.log_scale)
        error = (uv - target).norm(dim=-1)
        return {"val_mean": float(error.mean()), "val_median": float(error.median())}

    trained = train(model, prepare, step, validate, schedule)
    assert isinstance(trained, Mesh2D)
    return trained


@torch.no_grad()
def true_points_2d(posed: PosedPoints, batch: Batch) -> Tensor:
    """The 448 points [B,448,2] as the aimed camera sees them, in units of the person's size."""
    xyz = fk_state(posed, batch.pose, batch.betas, batch.scale * 0.0) + batch.pelvis[:, None]
    plane = xyz[..., :2] / xyz[..., 2:].clamp(min=0.15)
    return (plane / batch.scale[:, None, None]).clamp(-8.0, 8.0)
