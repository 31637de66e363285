"""Whole tracks side by side in torch: what offline refinement works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.evidence.features import Grid
from hmr_ros.methods.contract import Observation
from hmr_ros.methods.scorehmr.guidance import fused_poses, turn_root
from hmr_ros.methods.scorehmr.measured import depth_inputs
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.window import evidence_vectors, poses_6d

_PIECE = 256  # frames whose neighbours are looked up at once: each has all that the prior sees, 200 kB


@dataclass(frozen=True)
class TrackBatch:
    """P rows of W frames each; poses in 6D, camera axes."""

    expected: Tensor  # [P,W,144] what the evidence speaks for
    precision: Tensor  # [P,W,24] of its six numbers a joint
    conditioning: Tensor  # [P*W,K] the denoiser's condition
    aim: Tensor  # [P*W,3,3] camera aimed at the person -> camera
    present: Tensor  # [P,W]
    seconds: Tensor  # [P,W-1] between neighbours
    rays: Tensor  # [P*W,12,2]
    confidence: Tensor  # [P*W,12]
    log_depth: Tensor  # [P,W] as recovered
    pelvis: Tensor  # [P*W,3] as recovered
    depths: Tensor  # [P*W,12] m, measured, of the limb joints
    depth_weights: Tensor  # [P*W,12] 1/m, one over their standard deviation; 0 where nothing was measured


def track_batch(run: list[Observation], prior: TorchPrior) -> TrackBatch:
    """Frames of one person (P = 1) with what the evidence of the frames before and after speaks for."""
    grid = Grid(prior.size.past, prior.size.slots)
    seconds = np.array([p.stamp_ns for p in run]) * 1e-9
    poses = poses_6d(run)
    known = np.concatenate([evidence_vectors(run), poses], 1)
    aim = _tensor([p.evidence.R_camera_aimed for p in run])
    parts = []
    for rows in (slice(at, at + _PIECE) for at in range(0, len(run), _PIECE)):
        seen = [grid.sampled(known, seconds, at) for at in seconds[rows]]
        both, present = _tensor([w for w, _ in seen]), _tensor([p for _, p in seen])
        aimed = turn_root(both[..., prior.size.features :], aim[rows].transpose(1, 2)[:, None])
        parts.append(prior.expect(both[..., : prior.size.features], aimed, present))
    pelvis = np.array([p.estimate.joints[0] for p in run])
    measured = {n: _tensor(a) for n, a in depth_inputs([p.estimate for p in run]).items()}
    expected, precision = fused_poses(
        turn_root(torch.cat([part.pose for part in parts]), aim), torch.cat([part.sigma for part in parts]) ** -2,
        _tensor(poses), measured["trust"],
    )  # fmt: skip
    return TrackBatch(
        expected=expected[None],
        precision=precision[None],
        conditioning=torch.cat([part.conditioning for part in parts]),
        aim=aim,
        present=torch.ones(1, len(run)),
        seconds=_tensor(np.diff(seconds))[None],
        rays=_tensor([p.evidence.rays[BLAZEPOSE_LIMBS] for p in run]),
        confidence=_tensor([p.track.keypoints.keypoints_2d[BLAZEPOSE_LIMBS, 2] for p in run]),
        log_depth=_tensor(np.log(pelvis[:, 2]))[None],
        pelvis=_tensor(pelvis),
        depths=measured["depths"],
        depth_weights=measured["depth_weights"],
    )


def taken(whole: TrackBatch, rows: slice) -> TrackBatch:
    """Some frames of a batch of one person."""
    pieces = {name: getattr(whole, name) for name in TrackBatch.__annotations__}
    wide = ("expected", "precision", "present", "log_depth")
    cut = {n: a[:, rows] if n in wide else a[rows] for n, a in pieces.items() if n != "seconds"}
    between = slice(rows.start, rows.stop - 1)
    return TrackBatch(**cut, seconds=whole.seconds[:, between])


def _tensor(array: object) -> Tensor:
    return torch.as_tensor(np.array(array), dtype=torch.float32)
