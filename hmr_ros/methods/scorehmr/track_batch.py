"""Whole tracks side by side in torch: what offline refinement works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.evidence.grid import Grid
from hmr_ros.methods.scorehmr.guided_frame import turn_root
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.window import evidence_of, pose_6d
from hmr_ros.types import Human


@dataclass(frozen=True)
class Stack:
    """P rows of W frames each; poses in 6D, camera axes."""

    expected: Tensor  # [P,W,144] what the evidence speaks for
    precision: Tensor  # [P,W,24] of its six numbers a joint
    share: Tensor  # [P*W,K] the denoiser's condition
    aim: Tensor  # [P*W,3,3] camera aimed at the person -> camera
    present: Tensor  # [P,W]
    seconds: Tensor  # [P,W-1] between neighbours
    rays: Tensor  # [P*W,12,2]
    confidence: Tensor  # [P*W,12]
    log_depth: Tensor  # [P,W] as recovered
    pelvis: Tensor  # [P*W,3] as recovered


def stack(run: list[Human], prior: TorchPrior) -> Stack:
    """Frames of one person (P = 1) with what the evidence of the frames before and after speaks for."""
    grid = Grid(prior.size.past, prior.size.slots)
    seconds = np.array([h.stamp_ns for h in run]) * 1e-9
    known = np.concatenate([[evidence_of(h).features for h in run], [pose_6d(h) for h in run]], 1)
    seen = [grid.sampled(known, seconds, at) for at in seconds]
    both, present = _tensor([w for w, _ in seen]), _tensor([p for _, p in seen])
    aim = _tensor([evidence_of(h).R_camera_aimed for h in run])
    aimed = turn_root(both[..., prior.size.features :], aim.transpose(1, 2)[:, None])
    expected = prior.expect(both[..., : prior.size.features], aimed, present)
    pelvis = np.array([h.joints[0] for h in run])
    return Stack(
        expected=turn_root(expected.pose, aim)[None],
        precision=expected.sigma[None] ** -2,
        share=expected.share,
        aim=aim,
        present=torch.ones(1, len(run)),
        seconds=_tensor(np.diff(seconds))[None],
        rays=_tensor([evidence_of(h).rays[BLAZEPOSE_LIMBS] for h in run]),
        confidence=_tensor([h.keypoints_2d[BLAZEPOSE_LIMBS, 2] for h in run]),
        log_depth=_tensor(np.log(pelvis[:, 2]))[None],
        pelvis=_tensor(pelvis),
    )


def taken(whole: Stack, rows: slice) -> Stack:
    """Some frames of a stack of one person."""
    pieces = {name: getattr(whole, name) for name in Stack.__annotations__}
    wide = ("expected", "precision", "present", "log_depth")
    cut = {n: a[:, rows] if n in wide else a[rows] for n, a in pieces.items() if n != "seconds"}
    between = slice(rows.start, rows.stop - 1)
    return Stack(**cut, seconds=whole.seconds[:, between])


def _tensor(array: object) -> Tensor:
    return torch.as_tensor(np.array(array), dtype=torch.float32)
