"""The evidence of a frame as one vector, and of a track on a grid of times: what the diffusion prior reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.record import Posture
from hmr_ros.types import Floats, Ints

# name -> (points, channels); the order of the vector
_LAYOUT = {"landmarks": (33, 6), "scale": (1, 1), "aim": (1, 2), "mesh": (81, 3), "posture": (81, 4)}
NUM_FEATURES = sum(points * channels for points, channels in _LAYOUT.values())  # 768
SLOT_S = 1 / 30  # the frames around are read in steps of this time


def evidence_features(seen: Normalised, posture: Posture) -> Floats:
    """[N,768]: landmarks (u, v, confidence, x, y, z), log size, where the camera is aimed (x/z, y/z), the 2D mesh
    (u, v, log sigma) and the decoded points (x, y, z, log sigma); axes of the aimed camera."""
    axis = seen.R_camera_aimed[:, :, 2]
    parts = {
        "landmarks": seen.points,
        "scale": np.log(seen.scale),
        "aim": axis[:, :2] / axis[:, 2:],
        "mesh": np.concatenate([posture.points_2d, np.log(posture.sigma_2d)[..., None]], -1),
        "posture": np.concatenate([posture.points, np.log(posture.sigma)[..., None]], -1),
    }
    count = len(seen.points)
    return np.concatenate([parts[name].reshape(count, -1) for name in _LAYOUT], 1)


def rolled(features: Floats, angle_rad: Floats) -> Floats:
    """Features [N,...,768] as a camera turned by `angle_rad` [N] about its axis would see them."""
    out = features.copy()
    shape = (len(features),) + (1,) * (features.ndim - 1)
    c, s = np.cos(angle_rad).reshape(shape), np.sin(angle_rad).reshape(shape)
    for x, y in ((_X2, _Y2), (_X3, _Y3)):
        out[..., x] = c * features[..., x] - s * features[..., y]
        out[..., y] = s * features[..., x] + c * features[..., y]
    return out


def mirrored(features: Floats, landmark_pairs: Ints, point_pairs: Ints) -> Floats:
    """Features [...,768] of the mirror image; indices [33] and [81] of each point's partner on the other side."""
    pairs = {"landmarks": landmark_pairs, "mesh": point_pairs, "posture": point_pairs}
    order = [
        column
        for name, (points, channels) in _LAYOUT.items()
        for point in pairs.get(name, np.arange(points))
        for column in (_columns(name, c)[point] for c in range(channels))
    ]
    out = features[..., np.array(order)]
    out[..., np.r_[_X2, _X3]] *= -1
    return np.asarray(out)


def _columns(name: str, channel: int) -> list[int]:
    start = 0
    for other, (points, channels) in _LAYOUT.items():
        if other == name:
            return [start + p * channels + channel for p in range(points)]
        start += points * channels
    raise KeyError(name)


_X2 = np.array(_columns("landmarks", 0) + _columns("aim", 0) + _columns("mesh", 0))
_Y2 = np.array(_columns("landmarks", 1) + _columns("aim", 1) + _columns("mesh", 1))
_X3 = np.array(_columns("landmarks", 3) + _columns("posture", 0))
_Y3 = np.array(_columns("landmarks", 4) + _columns("posture", 1))


@dataclass(frozen=True)
class Grid:
    """`count` slots; slot `past - 1` is the frame itself."""

    past: int
    count: int

    def sampled(self, features: Floats, seconds: Floats, at: float) -> tuple[Floats, Floats]:
        """Frames around the time `at` [s]: features [count,D] and presence [count].

        `features` [F,D] seen at rising times `seconds` [F]. Between two frames they are interpolated; before the first
        and after the last there is nothing.
        """
        left, right, weight, present = places(seconds, self.times(at))
        weight = weight[:, None]
        return (1 - weight) * features[left] + weight * features[right], present

    def times(self, at: float) -> Floats:
        """Of the slots around the time `at` [s]."""
        return at + (np.arange(self.count) - (self.past - 1)) * SLOT_S


def places(seconds: Floats, times: Floats) -> tuple[Ints, Ints, Floats, Floats]:
    """Of each of the `times` [s] the frames before and after it, the weight of the second one, and presence; frames
    were seen at rising `seconds` [F]."""
    slack = 0.3 * SLOT_S  # a camera's stamps are never quite even
    present = (times >= seconds[0] - slack) & (times <= seconds[-1] + slack)
    last = len(seconds) - 1
    right = np.minimum(np.maximum(seconds.searchsorted(times), 1), max(1, last))
    left = right - 1
    right = np.minimum(right, last)
    before = seconds[left]
    weight = (times - before) / np.maximum(seconds[right] - before, 1e-9)
    return left, right, np.minimum(np.maximum(weight, 0.0), 1.0), present.astype(np.float64)
