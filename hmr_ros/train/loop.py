"""The training loop: cosine schedule, moving average, checkpoints to resume from, curves as CSV."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from hmr_ros.errors import ConfigError, InputError
from hmr_ros.io.results import made_folder
from hmr_ros.types import Floats

CHECKPOINT = "checkpoint.pt"  # in the folder of a training
_EMA = 0.998
_WARM_UP = 100
_CLIP = 1.0
_DECAY = 0.01
_EPS = 1e-12  # with rates of their own tensors may have gradients of any size


@dataclass(frozen=True)
class Schedule:
    """How long and how fast; the same run continues when `out` holds its checkpoint."""

    out: Path
    steps: int
    batch: int = 256
    learning_rate: float = 1e-3
    seed: int = 0
    every: int = 250  # steps between validation, curve point and checkpoint
    device: str = "cpu"
    options: Mapping[str, Any] = field(default_factory=dict)  # that decide the result beside these


Losses = dict[str, Tensor]
Prepare = Callable[[np.random.Generator], Any]  # draws what one step needs; runs beside the step before
StepLoss = Callable[[nn.Module, Any], Losses]
Validate = Callable[[nn.Module], dict[str, float]]


def train(
    model: nn.Module, prepare: Prepare, step_loss: StepLoss, validate: Validate, schedule: Schedule,
    rates: Mapping[str, float] | None = None,
) -> nn.Module:  # fmt: skip
    """Minimise the sum of `step_loss`; returns the moving average of the weights.

    `rates`: what the learning rate is multiplied with, by the names of the parameters; those without one do not learn.
    None: one rate for all.

    A resumed run is the unbroken one: the random numbers of step n follow from (seed, n), and the state that dropout
    draws from is in the checkpoint.
    """
    if schedule.steps < 1 or schedule.batch < 1:
        raise ConfigError("--steps and --batch must be 1 or more")
    made_folder(schedule.out)
    model.to(schedule.device)
    average = copy.deepcopy(model)
    optimizer = _optimizer(model, schedule, rates)
    checkpoint = schedule.out / CHECKPOINT
    start = _resume(checkpoint, model, average, optimizer)
    began = time.perf_counter()
    sums: dict[str, float] = {}
    summed = 0  # steps in `sums`; fewer than `every` in the last row
    bf16 = schedule.device.startswith("cuda")
    bar = tqdm(
        _drawn_ahead(prepare, schedule, start), initial=start, total=schedule.steps, unit="step", mininterval=2.0
    )
    for step, prepared in bar:
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * group.get("rate", 1.0) * _cosine(step, schedule.steps)
        model.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            losses = step_loss(model, prepared)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        _follow(average, model, min(_EMA, (1 + step) / (10 + step)))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        summed += 1
        if (step + 1) % schedule.every == 0 or step + 1 == schedule.steps:
            row = {k: v / summed for k, v in sums.items()} | validate(average.eval())
            sums, summed = {}, 0
            bar.set_postfix({k: f"{v:.3g}" for k, v in row.items()})
            seconds = round(time.perf_counter() - began, 1)
            _append(schedule.out / "curve.csv", {"step": step + 1, "seconds": seconds} | row)
            _save(checkpoint, step + 1, model, average, optimizer)
    return average.eval()


def _optimizer(model: nn.Module, schedule: Schedule, rates: Mapping[str, float] | None) -> torch.optim.Optimizer:
    if rates is None:
        return torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=_DECAY)
    named = dict(model.named_parameters())
    for name, parameter in named.items():
        parameter.requires_grad_(name in rates)
    groups = [{"params": [named[name]], "rate": rate, "weight_decay": 0.0} for name, rate in rates.items()]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, eps=_EPS)


def set_statistics(module: nn.Module, mean: Floats, std: Floats) -> None:
    """What `module` standardises its inputs with: its buffers `mean` and `std`."""
    for name, value in {"mean": mean, "std": std}.items():
        module.get_buffer(name).copy_(torch.as_tensor(value))


def _drawn_ahead(prepare: Prepare, schedule: Schedule, start: int) -> Iterator[tuple[int, Any]]:
    """Every step from `start` on with what was drawn for it, beside the step before."""
    with ThreadPoolExecutor(1) as helper:
        drawn = helper.submit(prepare, _rng(schedule, start))
        for step in range(start, schedule.steps):
            prepared = drawn.result()
            if step + 1 < schedule.steps:
                drawn = helper.submit(prepare, _rng(schedule, step + 1))
            yield step, prepared


def _rng(schedule: Schedule, step: int) -> np.random.Generator:
    return np.random.default_rng([schedule.seed, step])


def _cosine(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for a, m in zip(average.parameters(), model.parameters(), strict=True):
        a.lerp_(m, 1.0 - decay)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):  # statistics of normalisation
        if kept.is_floating_point():
            kept.lerp_(new, 1.0 - decay)
        else:
            kept.copy_(new)


def _save(path: Path, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    state = {
        "step": step, "model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all(),  # dropout draws from these
    }  # fmt: skip
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])
    except (RuntimeError, KeyError, ValueError, OSError, EOFError, UnpicklingError) as error:
        raise InputError(f"{path} does not fit this training ({type(error).__name__}); remove it") from error
    return int(state["step"])


def _append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
