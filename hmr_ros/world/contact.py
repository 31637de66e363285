"""When a foot stands: how high its heel and ball are over the ground, and how fast they go.

The rule is a logistic regression on heights and speeds of a window of frames, fitted to rendered motion
(benchmarks/world_rules.py). All is measured in the world, z up, at 30 Hz, whatever the camera's rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import percentile_filter

from hmr_ros.io.model_store import asset
from hmr_ros.io.results import load_arrays
from hmr_ros.types import Bools, Floats

RATE_HZ = 30.0
TRUE_HEIGHT_M = 0.05  # of a sole that stands, over the ground, in a motion that is known
TRUE_SPEED_M_S = 0.2  # HuMoR (Rempe et al. 2021) takes 0.15
_GROUND_PERCENTILE = 10.0  # of the lowest point's heights: a few frames may sink in
_GROUND_S = 2.0  # of which the ground is taken: stairs and a camera that is not quite level make it rise
_LEAST_SPEED = 0.1  # m/s, below which speeds are noise
_PER_M = 10.0  # heights in tenths of a metre are as large as the other features
_OTHER = [1, 0, 3, 2]  # ball of a heel, heel of a ball
# beyond which nothing stands, and over which that sets in; speeds along the line of sight are hardly known
_HIGHEST_M, _HEIGHT_SOFT_M = 0.2, 0.02
_FASTEST_M_S, _SPEED_SOFT_M_S, _ALONG_SHARE = 1.2, 0.1, 0.2
FEATURES = 7
BEFORE, AFTER = 4, 4  # frames at 30 Hz around the one in question
CAUSAL_BEFORE = 6  # where the frames to come are not known


@dataclass(frozen=True)
class ContactRule:
    """Weights of one window's features [(before + 1 + after) * FEATURES] and their bias."""

    weights: Floats
    bias: float
    before: int
    after: int

    def __call__(self, points: Floats, sight: Floats) -> Floats:
        """Probabilities [F,4] of points of the soles [F,4,3] m at 30 Hz; `sight` as in `features`."""
        return self.of_features(features(points, ground(points[..., 2].min(-1)), sight))

    def of_features(self, given: Floats) -> Floats:
        """Probabilities [F,4] of features [F,4,FEATURES]; beyond both ends they stay as they are."""
        return self.of_windows(windows(given, self.before, self.after), given)

    def of_windows(self, rows: Floats, given: Floats) -> Floats:
        """Probabilities [F,4] of windows [F,4,...] around frames with features `given` [F,4,FEATURES]; what is high or
        fast stands on nothing, whatever its neighbours say."""
        return np.asarray(_sigmoid(rows @ self.weights + self.bias) * _possible(given))


@cache
def contact_rule(causal: bool = False) -> ContactRule:
    """The shipped rule; `causal`: it knows the past alone."""
    name = "causal" if causal else "whole"
    arrays = load_arrays(asset("contacts.npz"))
    before, after = (CAUSAL_BEFORE, 0) if causal else (BEFORE, AFTER)
    return ContactRule(arrays[f"{name}_weights"], float(arrays[f"{name}_bias"]), before, after)


def windows(given: Floats, before: int, after: int) -> Floats:
    """Features [F,4,N] of each frame and its neighbours [F,4,(before + 1 + after) * N]."""
    frames = np.arange(len(given))[:, None] + np.arange(-before, after + 1)
    rows = given[np.clip(frames, 0, len(given) - 1)]
    return np.moveaxis(rows, 1, 2).reshape(len(given), given.shape[1], -1)


def features(points: Floats, ground_z: Floats, sight: Floats) -> Floats:
    """[F,4,FEATURES] of points of the soles [F,4,3] m at 30 Hz over the ground [F] m.

    `sight` [F,2]: direction from the camera to the person on the ground, along which positions are least certain.
    Heights over the ground, over the lowest point and of the foot's other point; speeds along and across the sight and
    upwards.
    """
    ahead = sight / np.maximum(np.linalg.norm(sight, axis=-1, keepdims=True), 1e-9)
    aside = np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    velocity = np.gradient(points, axis=0) * RATE_HZ if len(points) > 1 else np.zeros_like(points)
    along = np.einsum("fkc,fc->fk", velocity[..., :2], ahead)
    across = np.einsum("fkc,fc->fk", velocity[..., :2], aside)
    up, z = velocity[..., 2], points[..., 2]
    return np.stack(
        [
            _PER_M * (z - ground_z[:, None]), _PER_M * (z - z.min(1, keepdims=True)), _PER_M * (z[:, _OTHER] - z),
            _log(along), _log(across), _log(up), np.sign(up) * np.sqrt(np.abs(up)),
        ],
        -1,
    )  # fmt: skip


def ground(lowest: Floats) -> Floats:
    """Height [F] m of the ground under a person whose lowest point is at `lowest` [F] m at 30 Hz, frame by frame: that
    of the second before and the second after."""
    size = 2 * round(_GROUND_S * RATE_HZ / 2) + 1
    return np.asarray(percentile_filter(lowest, _GROUND_PERCENTILE, size=size, mode="nearest"))


def ground_so_far(lowest: Floats) -> float:
    """The ground now, of the heights of the lowest point in the second that has passed."""
    return float(np.sort(lowest)[int(_GROUND_PERCENTILE / 100 * (len(lowest) - 1))])


def true_contacts(points: Floats, fps: float) -> Bools:
    """Which points of the soles [F,4,3] m stand in a motion that is known, z up: near the ground and slow."""
    return np.asarray((points[..., 2] < true_ground(points, fps)[:, None] + TRUE_HEIGHT_M) & _is_slow(points, fps))


def true_ground(points: Floats, fps: float) -> Floats:
    """Height [F] m of the ground under a motion that is known."""
    size = 2 * round(_GROUND_S * fps / 2) + 1
    lowest = points[..., 2].min(-1)
    return np.asarray(percentile_filter(lowest, _GROUND_PERCENTILE, size=size, mode="nearest"))


def _is_slow(points: Floats, fps: float) -> Bools:
    """Central differences, at the ends one-sided."""
    if len(points) < 2:
        return np.ones(points.shape[:-1], bool)
    speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1) * fps
    return np.asarray(speed < TRUE_SPEED_M_S)


def _possible(given: Floats) -> Floats:
    """[F,4], 1 for what is near the ground and slow, 0 for what cannot stand; [...,FEATURES]."""
    along, across, up = (np.exp(given[..., k]) - _LEAST_SPEED for k in (3, 4, 5))
    speed = np.sqrt((_ALONG_SHARE * along) ** 2 + across**2 + up**2)
    high = _sigmoid((_HIGHEST_M - given[..., 0] / _PER_M) / _HEIGHT_SOFT_M)
    return np.asarray(high * _sigmoid((_FASTEST_M_S - speed) / _SPEED_SOFT_M_S))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _log(speed: Floats) -> Floats:
    return np.asarray(np.log(np.abs(speed) + _LEAST_SPEED))
