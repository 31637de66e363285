"""`--quality`: whole tracks refined at once, with the frames before and after each, in the full guidance loop."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.methods.contract import Estimate, Observation
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.settings import OFFLINE, Guidance
from hmr_ros.methods.scorehmr.track_batch import taken, track_batch
from hmr_ros.methods.scorehmr.uncertainty import moved
from hmr_ros.methods.scorehmr.window_sampler import Target, sample_windows

_PIECE, _OVERLAP = 160, 24  # frames refined at once, and how many of them on either side only lend context


def refine_tracks(
    people: list[Observation], prior: TorchPrior, body: BodyModel, guidance: Guidance = OFFLINE
) -> list[Estimate]:
    """One estimate a person and frame, in the same order; `body` is the open body, on which the prior was trained."""
    found: dict[tuple[int, int], Estimate] = {}
    order = sorted(people, key=lambda p: (p.track.track_id, p.stamp_ns))
    for track_id, track in itertools.groupby(order, key=lambda p: p.track.track_id):
        for run in _runs(list(track), guidance.max_gap_s):
            for person, estimate in zip(run, _refine_run(run, prior, body, guidance), strict=True):
                found[track_id, person.frame] = estimate
    return [found[p.track.track_id, p.frame] for p in people]


def _runs(track: list[Observation], gap_s: float) -> list[list[Observation]]:
    """Split where the person was out of sight for long."""
    runs = [track[:1]]
    for before, person in itertools.pairwise(track):
        if (person.stamp_ns - before.stamp_ns) * 1e-9 > gap_s:
            runs.append([])
        runs[-1].append(person)
    return runs


@torch.inference_mode()
def _refine_run(run: list[Observation], prior: TorchPrior, body: BodyModel, guidance: Guidance) -> list[Estimate]:
    betas = np.mean([p.estimate.betas for p in run], axis=0)  # one person has one shape
    run = [replace(p, estimate=replace(p.estimate, betas=betas)) for p in run]
    whole = track_batch(run, prior)
    out: list[Estimate] = []
    for start in range(0, len(run), _PIECE):
        low, high = max(0, start - _OVERLAP), min(len(run), start + _PIECE + _OVERLAP)
        seen = taken(whole, slice(low, high))
        target = Target(seen, betas[None], body, guidance)
        poses = sample_windows(seen, target, prior, guidance)[0]
        rotations, pelvis = rotations_from_6d(poses).double().numpy(), target.pelvis.double().numpy()
        precision = seen.precision[0].double().numpy()
        for k in range(start, min(start + _PIECE, len(run))):
            row = k - low
            placed = rotations[row], pelvis[row]
            out.append(moved(run[k].estimate, body, *placed, precision[row], run[k].evidence))
    return out
