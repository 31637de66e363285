"""Motion at a constant rate: gaps filled or cut, rotations by slerp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from hmr_ros.exchange.files.tracks import Track

_MISSING = 1.5  # frames between two neighbours: one is missing
_SAME = 1e-6  # s between a frame and the one that is asked for


def cut_at_gaps(track: Track, longest_s: float) -> list[Track]:
    """The track in pieces, each without a gap of more than `longest_s` (0: without any)."""
    limit = max(longest_s, _MISSING / track.fps)
    starts = np.flatnonzero(np.diff(track.times) > limit) + 1
    return [_rows(track, rows) for rows in np.split(np.arange(len(track.times)), starts)]


def at_rate(track: Track, fps: float) -> Track:
    """The motion at times first + k / fps; what lies between two frames is interpolated."""
    if len(track.times) < 2:
        return replace(track, fps=fps)
    steps = int(np.floor((track.times[-1] - track.times[0]) * fps + 1e-6))
    wanted = np.minimum(track.times[0] + np.arange(steps + 1) / fps, track.times[-1])
    rotations = np.empty((len(wanted), *track.rotations.shape[1:]))
    for joint in range(rotations.shape[1]):
        rotations[:, joint] = Slerp(track.times, Rotation.from_matrix(track.rotations[:, joint]))(wanted).as_matrix()
    root = np.stack([np.interp(wanted, track.times, axis) for axis in track.root.T], -1)
    after = np.searchsorted(track.times, wanted - _SAME)
    missing = np.diff(track.times) > _MISSING / track.fps
    seen = (np.abs(track.times[after] - wanted) <= _SAME) | ~missing[np.maximum(after - 1, 0)]
    return replace(track, fps=fps, times=wanted, rotations=rotations, root=root, measured=seen)


def _rows(track: Track, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Track:
    return replace(
        track, times=track.times[rows], rotations=track.rotations[rows], root=track.root[rows],
        measured=track.measured[rows],
    )  # fmt: skip
