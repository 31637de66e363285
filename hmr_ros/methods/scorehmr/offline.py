"""`--quality`: whole tracks refined at once, with the frames before and after each, in the full guidance loop."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.settings import Guidance, MotionSpread
from hmr_ros.methods.scorehmr.streaming import with_pose
from hmr_ros.methods.scorehmr.track_batch import stack, taken
from hmr_ros.methods.scorehmr.window_sampler import Target, refine_stack
from hmr_ros.types import Camera, Human

OFFLINE = Guidance(
    steps=10, loops=2, sigma_ray=0.03, outlier=0.2, motion=MotionSpread(math.inf, 0.2), depth=MotionSpread(0.05, 0.004)
)
_PIECE, _OVERLAP = 160, 24  # frames refined at once, and how many of them on either side only lend context


def refine_tracks(
    humans: list[Human], cameras: dict[int, Camera], prior: TorchPrior, body: BodyModel, guidance: Guidance = OFFLINE
) -> list[Human]:
    """The same people, in the same order, refined; `cameras` by frame index."""
    found: dict[tuple[int, int], Human] = {}
    order = sorted(humans, key=lambda h: (h.track_id, h.stamp_ns))
    for _, track in itertools.groupby(order, key=lambda h: h.track_id):
        for run in _runs(list(track), guidance.max_gap_s):
            for human in _refine_run(run, cameras, prior, body, guidance):
                found[human.track_id, human.frame] = human
    return [found[h.track_id, h.frame] for h in humans]


def _runs(track: list[Human], gap_s: float) -> list[list[Human]]:
    """Split where the person was out of sight for long."""
    runs = [track[:1]]
    for before, human in itertools.pairwise(track):
        if (human.stamp_ns - before.stamp_ns) * 1e-9 > gap_s:
            runs.append([])
        runs[-1].append(human)
    return runs


@torch.inference_mode()
def _refine_run(
    run: list[Human], cameras: dict[int, Camera], prior: TorchPrior, body: BodyModel, guidance: Guidance
) -> list[Human]:
    betas = np.mean([h.betas for h in run], axis=0)  # one person has one shape
    run = [replace(h, betas=betas) for h in run]
    whole = stack(run, prior)
    out: list[Human] = []
    for start in range(0, len(run), _PIECE):
        low, high = max(0, start - _OVERLAP), min(len(run), start + _PIECE + _OVERLAP)
        seen = taken(whole, slice(low, high))
        target = Target(seen, betas[None], body, guidance)
        poses = refine_stack(seen, target, prior, guidance)[0]
        rotations, pelvis = rotations_from_6d(poses).double().numpy(), target.pelvis.double().numpy()
        for k in range(start, min(start + _PIECE, len(run))):
            human = run[k]
            out.append(with_pose(human, rotations[k - low], pelvis[k - low], body, cameras[human.frame]))
    return out
