"""What refinement remembers of a track: the last frames, their evidence and their refined poses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.body.model import pose_matrices
from hmr_ros.types import Evidence, Floats, Human


@dataclass
class Row:
    """One frame of one person; poses in 6D, camera axes."""

    human: Human
    seconds: float
    expected: Tensor  # [144] what the evidence speaks for
    sigma: Tensor  # [24] of its six numbers a joint
    share: Tensor  # [K] the denoiser's condition
    aim: Tensor  # [3,3] camera aimed at the person -> camera
    x: Tensor  # [144] refined


class TrackWindow:
    """The last frames of one track; memory does not grow."""

    def __init__(self, frames: int, history: int) -> None:
        self.rows: deque[Row] = deque(maxlen=frames)
        self._seen: deque[tuple[float, Floats]] = deque(maxlen=history)

    def remember(self, seconds: float, human: Human) -> None:
        """Evidence of a new frame."""
        self._seen.append((seconds, np.concatenate([evidence_of(human).features, pose_6d(human)])))

    def evidence(self) -> tuple[Floats, Floats]:
        """Times [F] s of the remembered frames; features and recovered poses [F,768 + 144]."""
        return np.array([s for s, _ in self._seen]), np.array([f for _, f in self._seen])


@dataclass(frozen=True)
class Stack:
    """P windows side by side, padded at the front to W rows."""

    x: Tensor  # [P,W,144]
    expected: Tensor  # [P,W,144]
    precision: Tensor  # [P,W,24]
    share: Tensor  # [P*W,K]
    aim: Tensor  # [P*W,3,3]
    present: Tensor  # [P,W]
    seconds: Tensor  # [P,W-1] between neighbours
    rays: Tensor  # [P*W,12,2]
    weights: Tensor  # [P*W,12] confidence
    log_depth: Tensor  # [P,W,1] as recovered
    pelvis: Tensor  # [P*W,3] as recovered

    def rows(self, which: slice) -> Stack:
        """Some rows of every window."""
        P, W = self.present.shape
        flat = ("share", "aim", "rays", "weights", "pelvis")
        changed = {
            name: (whole := getattr(self, name)).reshape(P, W, *whole.shape[1:])[:, which].flatten(0, 1)
            for name in flat
        }
        windows = ("x", "expected", "precision", "present", "log_depth")
        return replace(self, **changed, **{name: getattr(self, name)[:, which] for name in windows})


def stack(windows: list[list[Row]], frames: int) -> Stack:
    """Padding repeats the oldest row, which is not coupled to anything."""
    rows = [[*[w[0]] * (frames - len(w)), *w] for w in windows]
    flat = [row for window in rows for row in window]
    shape = (len(windows), frames)
    present = torch.tensor([[float(k >= frames - len(w)) for k in range(frames)] for w in windows])
    times = torch.tensor([[row.seconds - window[0].seconds for row in window] for window in rows])
    pelvis = np.array([row.human.joints[0] for row in flat])
    rays = np.array([evidence_of(row.human).rays[BLAZEPOSE_LIMBS] for row in flat])
    weights = np.array([row.human.keypoints_2d[BLAZEPOSE_LIMBS, 2] for row in flat])
    return Stack(
        x=torch.stack([row.x for row in flat]).reshape(*shape, -1),
        expected=torch.stack([row.expected for row in flat]).reshape(*shape, -1),
        precision=torch.stack([row.sigma for row in flat]).reshape(*shape, -1) ** -2,
        share=torch.stack([row.share for row in flat]),
        aim=torch.stack([row.aim for row in flat]),
        present=present,
        seconds=times.diff(dim=1).float(),
        rays=torch.as_tensor(rays, dtype=torch.float32),
        weights=torch.as_tensor(weights, dtype=torch.float32),
        log_depth=torch.as_tensor(np.log(pelvis[:, 2]), dtype=torch.float32).reshape(*shape, 1),
        pelvis=torch.as_tensor(pelvis, dtype=torch.float32),
    )


def turn_root(x: Tensor, R: Tensor) -> Tensor:
    """6D poses [...,144] with the first joint turned by `R` [...,3,3]; noise turns likewise."""
    first = x[..., :6].reshape(*x.shape[:-1], 2, 3) @ R.transpose(-1, -2)
    return torch.cat([first.flatten(-2), x[..., 6:]], -1)


def pose_6d(human: Human) -> Floats:
    """[144] in camera axes."""
    rotations = pose_matrices(human.global_orient, human.body_pose)
    return np.asarray(np.swapaxes(rotations[..., :2], -1, -2).reshape(-1))


def evidence_of(human: Human) -> Evidence:
    """What learned recovery left for refinement."""
    assert human.evidence is not None
    return human.evidence
