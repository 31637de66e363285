"""`--quality`: whole tracks refined at once, with the frames before and after each, in the full guidance loop."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.smoothing import MotionSpread
from hmr_ros.posture.prior import TorchPrior, slots
from hmr_ros.stages.guided import Guidance, Target, refine_stack
from hmr_ros.stages.refine import with_pose
from hmr_ros.stages.window import Row, evidence_of, pose_6d, stack, turn_root
from hmr_ros.types import Camera, Human

OFFLINE = Guidance(steps=10, loops=2, motion=MotionSpread(math.inf, 0.2), depth=MotionSpread(0.05, 0.004))
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
    rows = rows_of([replace(h, betas=betas) for h in run], prior)
    out: list[Human] = []
    for start in range(0, len(rows), _PIECE):
        low, high = max(0, start - _OVERLAP), min(len(rows), start + _PIECE + _OVERLAP)
        piece = rows[low:high]
        seen = stack([piece], len(piece))
        target = Target(seen, betas[None], body, guidance)
        x = refine_stack(seen, target, prior, guidance)
        pelvis = target.place(x)[0]
        for k in range(start, min(start + _PIECE, len(rows))):
            human = rows[k].human
            out.append(with_pose(human, x[0, k - low], pelvis[k - low], body, cameras[human.frame]))
    return out


def rows_of(run: list[Human], prior: TorchPrior) -> list[Row]:
    """Frames of one person with what the evidence of the frames before and after speaks for."""
    size = prior.size
    seconds = np.array([h.stamp_ns for h in run]) * 1e-9
    poses = np.array([pose_6d(h) for h in run])
    known = np.concatenate([np.array([evidence_of(h).features for h in run]), poses], 1)
    seen = [slots(known, seconds, at, size) for at in seconds]
    both = torch.as_tensor(np.array([w for w, _ in seen]), dtype=torch.float32)
    present = torch.as_tensor(np.array([p for _, p in seen]), dtype=torch.float32)
    aim = torch.as_tensor(np.array([evidence_of(h).R_camera_aimed for h in run]), dtype=torch.float32)
    aimed = turn_root(both[..., size.features :], aim.transpose(1, 2)[:, None])
    expected = prior.expect(both[..., : size.features], aimed, present)
    start = turn_root(expected.pose, aim)
    return [
        Row(h, float(seconds[i]), start[i], expected.sigma[i], expected.share[i], aim[i], start[i])
        for i, h in enumerate(run)
    ]
