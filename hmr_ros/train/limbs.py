"""Training of the limb network on features of rendered people: BlazePose's trunk, trained on with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.joints import DIRECTED_BONES, SMPL_LIMBS
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.networks.limbs import LimbAnswer, LimbNetwork
from hmr_ros.train.blazepose import start_from_blazepose
from hmr_ros.train.data.features import FeatureSet, LimbTruth, truth_of
from hmr_ros.train.loop import Losses, Schedule, set_statistics, train
from hmr_ros.types import Ints

# the joints count most; the spread is trained on errors that it cannot move
_WEIGHTS = {"joints": 20.0, "points": 10.0, "sines": 2.0, "spread": 0.2}
_RIDGE = 0.05  # of the features' variance
_FIT = 6000  # crops that the first read-out is fitted to
_LEAST_STD = 0.02  # of the mean standard deviation of the features
# Learning rates in sizes (root mean square) of each tensor: folded convolutions have weights of 1.5 and features of
# 0.02, and one rate for all breaks either. The read-out has few weights a feature, and is there from the start.
_READ_OUT = {"joints": 0.008, "points": 0.008, "sines": 0.05, "spread": 0.05}
_FROZEN_BLOCKS = 1  # mobile blocks that stay as they are: they see the largest maps, and cost most
_CHECKED, _CHUNK = 1000, 100
LEAST_SINE = float(np.sin(np.radians(17.0)))  # bones that lean less have no sign to be right about
LIMB_BONES = [i for i, (_, end) in enumerate(DIRECTED_BONES) if not end.endswith(("hip", "shoulder"))]


@dataclass(frozen=True)
class _Drawn:
    """B crops, and the truth in the form of the network's answer."""

    features: Tensor  # [B,32,32,32], channels first
    joints: Tensor  # [B,24,3]
    points: Tensor  # [B,24,2]
    sines: Tensor  # [B,12]


def train_limbs(
    people: FeatureSet, held_back: FeatureSet, blazepose: Path, schedule: Schedule, start: LimbNetwork | None = None
) -> LimbNetwork:
    """From BlazePose's weights and a linear read-out, or on from `start`; losses of `limb_losses`."""
    torch.manual_seed(schedule.seed)
    truth = truth_of(people)
    model = start or started(people, truth, blazepose, np.random.default_rng(schedule.seed))
    device = schedule.device

    def prepare(rng: np.random.Generator) -> _Drawn:
        return _drawn(people, truth, rng.integers(0, len(people), schedule.batch), device)

    def step(net: nn.Module, drawn: _Drawn) -> Losses:
        losses = limb_losses(net(drawn.features), drawn)
        return {name: _WEIGHTS[name] * value for name, value in losses.items()}

    truth_held_back = truth_of(held_back)

    def validate(net: nn.Module) -> dict[str, float]:
        return limb_errors(net, held_back, truth_held_back, device)

    trained = train(model, prepare, step, validate, schedule, rates=rates(model))
    assert isinstance(trained, LimbNetwork)
    return trained


def limb_losses(seen: LimbAnswer, truth: _Drawn) -> Losses:
    """Unweighted: L1 of joints, points and sines, and the Laplace likelihood of the sines' errors as they are."""
    error = (seen.sines - truth.sines).abs()
    return {
        "joints": (seen.joints - truth.joints).abs().mean(),
        "points": (seen.points - truth.points).abs().mean(),
        "sines": error.mean(),
        "spread": (error.detach() * torch.exp(-seen.log_spread) + seen.log_spread).mean(),
    }


@torch.no_grad()
def started(people: FeatureSet, truth: LimbTruth, blazepose: Path, rng: np.random.Generator) -> LimbNetwork:
    """The published trunk with what ridge regression reads out of its features."""
    network = LimbNetwork().eval()
    start_from_blazepose(network.trunk, blazepose)
    index = rng.permutation(len(people))[:_FIT]
    chunks = [index[i : i + _CHUNK] for i in range(0, len(index), _CHUNK)]
    raw = np.concatenate([network.trunk(_maps(people, chunk)).numpy() for chunk in chunks])
    std = raw.std(0)
    set_statistics(network, raw.mean(0), std + _LEAST_STD * std.mean())
    A = (raw - raw.mean(0)) / network.std.numpy()
    wanted = np.concatenate([a[index].reshape(len(index), -1) for a in (truth.joints, truth.points)], 1)
    middle = wanted.mean(0)
    gram = A.T @ A
    ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram + ridge, A.T @ (wanted - middle)).T
    split = network.joints.out_features
    for layer, rows in ((network.joints, slice(None, split)), (network.points, slice(split, None))):
        layer.weight.copy_(torch.as_tensor(weights[rows]))
        layer.bias.copy_(torch.as_tensor(middle[rows]))
    return network


def rates(network: LimbNetwork) -> dict[str, float]:
    """What each tensor's learning rate is multiplied with, by its name; tensors without one stay as they are."""
    found: dict[str, float] = {}
    still = {id(p) for block in network.trunk.mobile[:_FROZEN_BLOCKS] for p in block.parameters()}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or id(parameter) in still:
            continue
        head = name.split(".")[0]
        found[name] = _READ_OUT.get(head) or float(parameter.detach().square().mean().sqrt())
    return found


@torch.inference_mode()
def limb_errors(net: nn.Module, people: FeatureSet, truth: LimbTruth, device: str) -> dict[str, float]:
    """On single crops: PA-MPJPE of the limb joints, their 2D error in crop sides, share of limbs that lean by more than
    17 degrees whose sign is right, and mean error of the sines in spreads (1: calibrated)."""
    count = min(len(people), _CHECKED)
    parts = [net(_maps(people, np.arange(i, min(i + _CHUNK, count))).to(device)) for i in range(0, count, _CHUNK)]
    seen = LimbAnswer(*(torch.cat(p).cpu() for p in zip(*parts, strict=True)))
    joints, sines = seen.joints.numpy().astype(float)[:, SMPL_LIMBS], seen.sines.numpy()
    true = truth.joints[:count].astype(float)[:, SMPL_LIMBS] * truth.unit_m[:count, None, None]
    error = procrustes_errors(joints, true).mean(1)
    leaning = np.abs(truth.sines[:count]) > LEAST_SINE
    right = (sines * truth.sines[:count] > 0)[:, LIMB_BONES][leaning[:, LIMB_BONES]]
    away = np.linalg.norm((seen.points.numpy() - truth.points[:count])[:, SMPL_LIMBS], axis=-1)
    spread = np.abs(sines - truth.sines[:count]) / np.exp(seen.log_spread.numpy())
    return {
        "val_pa_mm": float(error.mean()), "val_pa_median_mm": float(np.median(error)),
        "val_points": float(away.mean()), "val_sign": float(right.mean()), "val_calibration": float(spread.mean()),
    }  # fmt: skip


def _drawn(people: FeatureSet, truth: LimbTruth, index: Ints, device: str) -> _Drawn:
    targets = (torch.from_numpy(a[index]).to(device) for a in (truth.joints, truth.points, truth.sines))
    return _Drawn(_maps(people, index).to(device), *targets)


def _maps(people: FeatureSet, index: Ints) -> Tensor:
    """[B,32,32,32], channels first."""
    # not by torch: the thread that draws would have threads of its own, which spin beside those that train
    return torch.from_numpy(people.features[index].astype(np.float32)).permute(0, 3, 1, 2)
