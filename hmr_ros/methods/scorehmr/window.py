"""What live refinement remembers of a track: its last frames, and what their evidence speaks for."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.body.model import BodyModel
from hmr_ros.evidence.features import Grid, evidence_features, places
from hmr_ros.evidence.record import keypoints_of, posture_of
from hmr_ros.methods.contract import Observation
from hmr_ros.methods.scorehmr.measured import measured_inputs
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.types import Floats

_POSE, _JOINTS = 144, 24
_MEAN, _PRECISION = slice(0, _POSE), slice(_POSE, _POSE + _JOINTS)
_SECONDS, _LOG_DEPTH = _POSE + _JOINTS, _POSE + _JOINTS + 1


class _Frames:
    """The last so many frames side by side, so that nobody has to gather them for each new one."""

    def __init__(self, most: int) -> None:
        self._most, self._end = most, 0
        self._rows, self._seconds = np.empty((0, 0), np.float32), np.empty(2 * most)

    def append(self, seconds: float, row: Floats) -> None:
        """One more; the oldest goes."""
        if not len(self._rows):
            self._rows = np.empty((2 * self._most, len(row)), np.float32)
        if self._end == len(self._rows):  # seldom: the second half becomes the first
            for array in (self._rows, self._seconds):
                array[: self._most] = array[self._most :]
            self._end = self._most
        self._rows[self._end], self._seconds[self._end] = row, seconds
        self._end += 1

    def kept(self) -> tuple[Floats, Floats]:
        """Rows [F,D] float32 and their times [F], to be read before the next one comes."""
        last = slice(max(0, self._end - self._most), self._end)
        return self._rows[last], self._seconds[last]

    def clear(self) -> None:
        """Forget all."""
        self._end = 0


class TrackWindow:
    """The last frames of one track; memory does not grow."""

    def __init__(self, frames: int, grid: Grid) -> None:
        self.seconds = -np.inf  # of the newest frame
        # of the older frames what their evidence spoke for, newest last; poses in 6D, camera axes: mean [144],
        # precision [24] of its six numbers a joint, time in seconds, logarithm of the depth
        self.rows = np.zeros((frames - 1, _POSE + _JOINTS + 2))
        self.grid = grid
        self.frames = _Frames(4 * grid.past)
        self.forget()

    def forget(self) -> None:
        """As if the person had never been seen."""
        self.known = 0  # of the rows
        self.rows[:] = 0.0
        self.rows[:, _PRECISION] = 1.0
        self.frames.clear()

    def add(self, seconds: float, features: Floats) -> None:
        """A new frame, with the person's row of `evidence_rows`."""
        self.seconds = seconds
        self.frames.append(seconds, features)

    def remember(self, seconds: float, person: Observation, mean: Floats, precision: Floats) -> None:
        """What the evidence of a frame spoke for; frames come in order."""
        self.rows[:-1] = self.rows[1:]
        newest = self.rows[-1:]  # none where the window is of one frame
        newest[:, _MEAN], newest[:, _PRECISION] = mean, precision
        newest[:, _SECONDS], newest[:, _LOG_DEPTH] = seconds, np.log(person.estimate.joints[0, 2])
        self.known = min(self.known + 1, len(self.rows))


def evidence_vectors(people: list[Observation]) -> Floats:
    """Evidence [N,768] of the people of a frame, for the diffusion prior."""
    evidence = [p.evidence for p in people]
    return evidence_features(keypoints_of(evidence), posture_of(evidence)) if evidence else np.zeros((0, 0))


def evidence_rows(people: list[Observation]) -> Floats:
    """What is kept of each of the people of a frame [N,912]: the evidence, and the recovered pose."""
    return np.concatenate([evidence_vectors(people), poses_6d(people)], 1) if people else np.zeros((0, 0))


def refine_inputs(
    windows: list[TrackWindow], people: list[Observation], seconds: float, body: BodyModel, guidance: Guidance
) -> dict[str, Floats]:
    """Inputs of the network `refine` for all people of one of the frames added; frames after it help."""
    count, estimates = len(people), [p.estimate for p in people]
    around, known = _sampled(windows, seconds)
    recovered = np.array([e.joints[0] for e in estimates])
    return _history(windows, seconds, np.log(recovered[:, 2])) | {
        "window": around[..., :-_POSE], "poses": around[..., -_POSE:], "known": known,
        "aim": np.array([p.evidence.R_camera_aimed for p in people]),
        "rays": np.array([p.evidence.rays for p in people])[:, BLAZEPOSE_LIMBS],
        "confidence": np.array([p.track.keypoints.keypoints_2d[:, 2] for p in people])[:, BLAZEPOSE_LIMBS],
        "recovered": recovered, "bones": body.bones(np.array([e.betas for e in estimates])),
        "sigma_ray": np.full(count, guidance.sigma_ray), "floor": np.full(count, guidance.floor),
        "measured": poses_6d(people),
    } | measured_inputs(estimates, guidance)  # fmt: skip


def _sampled(windows: list[TrackWindow], seconds: float) -> tuple[Floats, Floats]:
    """The frames around a time on the grid [N,S,912], float32, and presence [N,S]."""
    times = windows[0].grid.times(seconds)
    kept = [w.frames.kept() for w in windows]
    shape = len(windows), len(times)
    around, after = np.empty((2, *shape, kept[0][0].shape[1]), np.float32)
    weights, known = np.empty(shape), np.empty(shape)
    for i, (rows, at) in enumerate(kept):
        left, right, weights[i], known[i] = places(at, times)
        np.take(rows, left, 0, out=around[i], mode="clip")  # they are inside; only so it writes at once
        np.take(rows, right, 0, out=after[i], mode="clip")
    after -= around
    after *= weights[..., None].astype(np.float32)
    around += after
    return around, known


def _history(windows: list[TrackWindow], seconds: float, log_depth: Floats) -> dict[str, Floats]:
    """The older rows, with those at the front that are not there, for a newest frame of `log_depth` [N]."""
    rows = np.array([w.rows for w in windows])
    older = rows.shape[1]
    there = np.arange(older) >= older - np.array([w.known for w in windows])[:, None]
    times = np.concatenate([rows[..., _SECONDS], np.full((len(rows), 1), seconds)], 1)
    now = log_depth[:, None]
    return {
        "means": rows[..., _MEAN], "precisions": rows[..., _PRECISION],
        "present": np.concatenate([there, np.ones((len(rows), 1))], 1),
        "seconds": np.where(there, np.diff(times), 1.0),
        "log_depth": np.concatenate([np.where(there, rows[..., _LOG_DEPTH], now), now], 1),
    }  # fmt: skip


def poses_6d(people: list[Observation]) -> Floats:
    """The recovered poses [N,144] in camera axes."""
    rotations = np.array([p.estimate.rotations for p in people])
    return np.asarray(np.swapaxes(rotations[..., :2], -1, -2).reshape(len(people), -1))


def pose_6d(person: Observation) -> Floats:
    """The same of one [144]."""
    return poses_6d([person])[0]
