"""Single frames for Diff-HMR: pairs drawn with all their variation, and what the stages before say about each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.model import BodyModel
from hmr_ros.evidence.leans import NO_LEANS
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.posturehmr.process import FACING
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.windows import Moving, recovered
from hmr_ros.types import Floats, Ints

_CHUNK = 1024


@dataclass(frozen=True)
class StillBatch:
    """B people, each in the axes of the camera aimed at the person."""

    features: Tensor  # [B,768]
    poses: Tensor  # [B,144] recovered
    rotations: Tensor  # [B,24,3,3] true
    rest: Tensor  # [B,24,3] m, joints of the T-pose
    pelvis: Tensor  # [B,3] m


class StillBank:
    """People in memory, ready to be drawn from."""

    def __init__(self, features: Floats, poses: Floats, rotations: Floats, rest: Floats, pelvis: Floats) -> None:
        self.features, self.poses, self.rotations, self.rest, self.pelvis = features, poses, rotations, rest, pelvis

    def __len__(self) -> int:
        return len(self.features)

    def statistics(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation [768 + 144] of features and recovered poses."""
        some = slice(None, None, max(1, len(self) // 20000))
        sample = np.concatenate([self.features[some].astype(np.float64), self.poses[some]], -1)
        return sample.mean(0), sample.std(0) + 0.02

    def batch(self, index: Ints) -> StillBatch:
        """These people."""
        return StillBatch(
            *(torch.as_tensor(getattr(self, f.name)[index].astype(np.float32)) for f in fields(StillBatch))
        )


def still_bank(
    pairs: PairBank, body: BodyModel, network: PostureNetwork, fitter: PointFitter, rng: np.random.Generator,
    mix: Mix, rounds: int = 1,
) -> StillBank:  # fmt: skip
    """Everybody of `pairs` `rounds` times, drawn as `mix` says, through the posture networks and the fit."""
    parts: list[tuple[Floats, ...]] = []
    order = np.tile(np.arange(len(pairs)), rounds)
    for start in range(0, len(order), _CHUNK):
        batch = pairs.batch(order[start : start + _CHUNK], rng, mix)
        pose = batch.pose.numpy().astype(np.float64)
        rotations = matrix_from_axis_angle(pose)
        rotations[:, 0] = FACING.numpy().astype(np.float64).T @ rotations[:, 0]
        count, betas = len(pose), batch.betas.numpy().astype(np.float64)
        axes, unknown = np.tile(np.eye(3), (count, 1, 1, 1)), np.tile(NO_LEANS, (count, 1, 1, 1))
        people = Moving(
            batch.points.numpy().astype(np.float64)[:, None], batch.scale.numpy().astype(np.float64)[:, None],
            axes, unknown, rotations[:, None], betas, np.ones(count), np.array([], np.int64),
        )  # fmt: skip
        found = recovered(people, network, fitter)
        rest = body.rest_joints(betas)
        row = (found.features[:, 0], found.poses[:, 0], rotations, rest, batch.pelvis.numpy())
        parts.append(tuple(np.asarray(a, np.float16 if k == 0 else np.float32) for k, a in enumerate(row)))
    return StillBank(*(np.concatenate(column) for column in zip(*parts, strict=True)))
