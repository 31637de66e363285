"""What live refinement remembers of a track: the last frames, and what their evidence spoke for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.body.model import BodyModel, pose_matrices
from hmr_ros.evidence.grid import Grid
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.types import Evidence, Floats, Human

_POSE, _JOINTS = 144, 24


@dataclass(frozen=True)
class Row:
    """One frame of one person; the pose in 6D, camera axes."""

    seconds: float
    log_depth: float
    mean: Floats  # [144] what the evidence speaks for
    precision: Floats  # [24] of its six numbers a joint


class TrackWindow:
    """The last frames of one track; memory does not grow."""

    def __init__(self, frames: int, grid: Grid) -> None:
        self.seconds = -np.inf  # of the newest frame
        self.rows: deque[Row] = deque(maxlen=frames - 1)
        self._older, self._grid = frames - 1, grid
        self._seen: deque[tuple[float, Floats]] = deque(maxlen=4 * grid.past)

    def forget(self) -> None:
        """As if the person had never been seen."""
        self.rows.clear()
        self._seen.clear()

    def see(self, seconds: float, human: Human) -> None:
        """A new frame's evidence."""
        self.seconds = seconds
        self._seen.append((seconds, np.concatenate([evidence_of(human).features, pose_6d(human)])))

    def look(self, seconds: float, human: Human) -> dict[str, Floats]:
        """Inputs of the network `refine` for one of the frames seen, without batch axis; frames seen after it help."""
        seen = evidence_of(human)
        features, times = np.array([f for _, f in self._seen]), np.array([s for s, _ in self._seen])
        around, known = self._grid.sampled(features, times, seconds)
        return self._history(seconds, human) | {
            "window": around[:, :-_POSE], "poses": around[:, -_POSE:], "known": known, "aim": seen.R_camera_aimed,
            "rays": seen.rays[BLAZEPOSE_LIMBS], "confidence": human.keypoints_2d[BLAZEPOSE_LIMBS, 2],
            "recovered": human.joints[0],
        }  # fmt: skip

    def remember(self, seconds: float, human: Human, mean: Floats, precision: Floats) -> None:
        """What the evidence of a frame spoke for; frames come in order."""
        self.rows.append(Row(seconds, float(np.log(human.joints[0, 2])), mean, precision))

    def _history(self, seconds: float, human: Human) -> dict[str, Floats]:
        """The older rows, padded at the front with rows that are not there."""
        rows, missing = list(self.rows), self._older - len(self.rows)
        now = float(np.log(human.joints[0, 2]))
        times = np.array([*[r.seconds for r in rows], seconds])
        return {
            "means": np.array([*[np.zeros(_POSE)] * missing, *[r.mean for r in rows]]),
            "precisions": np.array([*[np.ones(_JOINTS)] * missing, *[r.precision for r in rows]]),
            "present": np.r_[np.zeros(missing), np.ones(len(rows) + 1)],
            "seconds": np.r_[np.ones(missing), np.diff(times)],
            "log_depth": np.array([*[now] * missing, *[r.log_depth for r in rows], now]),
        }


def refine_inputs(
    windows: list[TrackWindow], humans: list[Human], seconds: float, body: BodyModel, guidance: Guidance
) -> dict[str, Floats]:
    """Inputs of the network `refine` for all people of a frame."""
    looks = [w.look(seconds, h) for w, h in zip(windows, humans, strict=True)]
    count = len(humans)
    return {name: np.array([look[name] for look in looks]) for name in looks[0]} | {
        "bones": body.bones(np.array([h.betas for h in humans])),
        "sigma_ray": np.full(count, guidance.sigma_ray), "floor": np.full(count, guidance.floor),
    }  # fmt: skip


def pose_6d(human: Human) -> Floats:
    """[144] in camera axes."""
    rotations = pose_matrices(human.global_orient, human.body_pose)
    return np.asarray(np.swapaxes(rotations[..., :2], -1, -2).reshape(-1))


def evidence_of(human: Human) -> Evidence:
    """What learned recovery left for refinement."""
    assert human.evidence is not None
    return human.evidence
