"""What live refinement remembers of a track: its last frames, and what their evidence speaks for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.body.model import BodyModel
from hmr_ros.evidence.features import Grid, evidence_features
from hmr_ros.evidence.record import keypoints_of, posture_of
from hmr_ros.methods.contract import Observation
from hmr_ros.methods.scorehmr.measured import measured_inputs
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.types import Floats

_POSE, _JOINTS = 144, 24


@dataclass(frozen=True)
class Row:
    """One frame of one person; the pose in 6D, camera axes."""

    seconds: float
    log_depth: float
    mean: Floats  # [144] what the evidence speaks for
    precision: Floats  # [24] of its six numbers a joint


class _Frames:
    """The last so many frames side by side, so that nobody has to gather them for each new one."""

    def __init__(self, most: int) -> None:
        self._most, self._end = most, 0
        self._rows, self._seconds = np.empty((0, 0)), np.empty(2 * most)

    def append(self, seconds: float, row: Floats) -> None:
        """One more; the oldest goes."""
        if not len(self._rows):
            self._rows = np.empty((2 * self._most, len(row)))
        if self._end == len(self._rows):  # seldom: the second half becomes the first
            for array in (self._rows, self._seconds):
                array[: self._most] = array[self._most :]
            self._end = self._most
        self._rows[self._end], self._seconds[self._end] = row, seconds
        self._end += 1

    def kept(self) -> tuple[Floats, Floats]:
        """Rows [F,D] and their times [F], to be read before the next one comes."""
        last = slice(max(0, self._end - self._most), self._end)
        return self._rows[last], self._seconds[last]

    def clear(self) -> None:
        """Forget all."""
        self._end = 0


class TrackWindow:
    """The last frames of one track; memory does not grow."""

    def __init__(self, frames: int, grid: Grid) -> None:
        self.seconds = -np.inf  # of the newest frame
        self.rows: deque[Row] = deque(maxlen=frames - 1)
        self._older, self._grid = frames - 1, grid
        self._frames = _Frames(4 * grid.past)

    def forget(self) -> None:
        """As if the person had never been seen."""
        self.rows.clear()
        self._frames.clear()

    def add(self, seconds: float, person: Observation, features: Floats) -> None:
        """A new frame, with its evidence as `features` [768]."""
        self.seconds = seconds
        self._frames.append(seconds, np.concatenate([features, pose_6d(person)]))

    def inputs(self, seconds: float, person: Observation) -> dict[str, Floats]:
        """Inputs of the network `refine` for one of the frames added, without batch axis; frames after it help."""
        evidence = person.evidence
        around, known = self._grid.sampled(*self._frames.kept(), seconds)
        return self._history(seconds, person) | {
            "window": around[:, :-_POSE], "poses": around[:, -_POSE:], "known": known,
            "aim": evidence.R_camera_aimed, "rays": evidence.rays[BLAZEPOSE_LIMBS],
            "confidence": person.track.keypoints.keypoints_2d[BLAZEPOSE_LIMBS, 2],
            "recovered": person.estimate.joints[0],
        }  # fmt: skip

    def remember(self, seconds: float, person: Observation, mean: Floats, precision: Floats) -> None:
        """What the evidence of a frame spoke for; frames come in order."""
        self.rows.append(Row(seconds, _log_depth(person), mean, precision))

    def _history(self, seconds: float, person: Observation) -> dict[str, Floats]:
        """The older rows, padded at the front with rows that are not there."""
        rows, missing = list(self.rows), self._older - len(self.rows)
        now = _log_depth(person)
        times = np.array([*[r.seconds for r in rows], seconds])
        return {
            "means": np.array([*[np.zeros(_POSE)] * missing, *[r.mean for r in rows]]),
            "precisions": np.array([*[np.ones(_JOINTS)] * missing, *[r.precision for r in rows]]),
            "present": np.r_[np.zeros(missing), np.ones(len(rows) + 1)],
            "seconds": np.r_[np.ones(missing), np.diff(times)],
            "log_depth": np.array([*[now] * missing, *[r.log_depth for r in rows], now]),
        }


def evidence_vectors(people: list[Observation]) -> Floats:
    """Evidence [N,768] of the people of a frame, for the diffusion prior."""
    evidence = [p.evidence for p in people]
    return evidence_features(keypoints_of(evidence), posture_of(evidence)) if evidence else np.zeros((0, 0))


def refine_inputs(
    windows: list[TrackWindow], people: list[Observation], seconds: float, body: BodyModel, guidance: Guidance
) -> dict[str, Floats]:
    """Inputs of the network `refine` for all people of a frame."""
    rows = [w.inputs(seconds, p) for w, p in zip(windows, people, strict=True)]
    count = len(people)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} | {
        "bones": body.bones(np.array([p.estimate.betas for p in people])),
        "sigma_ray": np.full(count, guidance.sigma_ray), "floor": np.full(count, guidance.floor),
        "measured": np.array([pose_6d(p) for p in people]),
    } | measured_inputs([p.estimate for p in people], guidance)  # fmt: skip


def pose_6d(person: Observation) -> Floats:
    """The recovered pose [144] in camera axes."""
    return np.asarray(np.swapaxes(person.estimate.rotations[..., :2], -1, -2).reshape(-1))


def _log_depth(person: Observation) -> float:
    return float(np.log(person.estimate.joints[0, 2]))
