"""Where the floor is, and how large people are who stand on it."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.geometry.camera import unproject
from hmr_ros.types import Camera, Floats

_STEP_PX = 16  # of the grid on which a depth image is read
_LEAST_HEIGHT_M = 0.2  # of a camera over the floor
_BIN_M = 0.04
_INLIER_M = 0.05
_LEAST_SHARE = 0.08  # of the points that a floor must have
_LEAST_POINTS = 30
_LEAST_DROP = 0.03  # sine of the angle below the horizon from which a foot on the floor says how far away it is
_SCALES = (0.55, 1.6)  # that people may have: from a child to somebody taken for one

_LOWEST_PERCENTILE = 10.0
_LEAST_STANDING = 10  # points on the floor before it says how large somebody is
_FOOT_SIGMA = 0.02  # of the distance, by which recovered feet are off
_PERSON_SIGMA = 0.07  # of people's sizes about the average
_SHAPE_WEIGHT = 3e-4  # m^2 for a unit of each beta: shapes stay near those of people


def height_over_floor(depth: Floats, camera: Camera, up: Floats) -> float | None:
    """Height [m] of the camera over the lowest level plane in a depth image [H,W] m (NaN: unknown), `up` [3] in the
    optical frame; None where there is none."""
    rows, columns = np.mgrid[_STEP_PX // 2 : depth.shape[0] : _STEP_PX, _STEP_PX // 2 : depth.shape[1] : _STEP_PX]
    z = depth[rows, columns].astype(float)
    known = np.isfinite(z)
    pixels = np.stack([columns[known], rows[known]], -1).astype(float)
    heights = (unproject(pixels, camera.K) * z[known][:, None]) @ up
    below = heights[heights < -_LEAST_HEIGHT_M]
    if len(below) < _LEAST_POINTS:
        return None
    edges = np.arange(below.min() - 1.5 * _BIN_M, 0, _BIN_M)
    counts, _ = np.histogram(below, edges)
    level = np.flatnonzero(
        np.convolve(counts, np.ones(2), "valid") >= max(_LEAST_SHARE * known.sum(), _LEAST_POINTS / 2)
    )
    if not len(level):
        return None
    inliers = below[np.abs(below - edges[level[0] + 1]) < _INLIER_M + _BIN_M]
    centre = float(np.median(inliers))
    return -float(below[np.abs(below - centre) < _INLIER_M].mean())


def height_over_feet(points: Floats, contacts: Floats) -> float | None:
    """Height [m] of the camera over the points of soles [N,4,3] m (world axes, camera at the origin) that stand with
    probabilities `contacts` [N,4]; None where none does."""
    standing = contacts > 0.5
    return -float(np.median(points[..., 2][standing])) if standing.any() else None


def floor_under(lowest: Floats) -> float:
    """Height [m] of the floor of which only this is known: the lowest points of people's soles [N] m, frame by frame.
    Jumps lie above, wrong frames below."""
    return float(np.percentile(lowest, _LOWEST_PERCENTILE))


def scales_of_floor(points: Floats, contacts: Floats, height_m: float) -> Floats:
    """[M,2] by how much larger, and farther away, a person must be so that points that stand are on the floor, and the
    sine of the angle below the horizon at which each is seen: its ray meets the floor at height / drop.

    `points` [N,4,3] m in world axes with the camera at the origin, `contacts` [N,4].
    """
    drop, distance = -points[..., 2], np.linalg.norm(points, axis=-1)
    sine = drop / np.maximum(distance, 1e-6)
    fits = (contacts > 0.5) & (sine > _LEAST_DROP)
    found = np.stack([height_m / drop[fits], sine[fits]], -1)
    return np.asarray(found[(found[:, 0] > _SCALES[0]) & (found[:, 0] < _SCALES[1])])


def scale_of_floor(found: Floats, up_sigma: float) -> float | None:
    """One person's scale from `scales_of_floor` [M,2]; None where too few points stand.

    The floor is believed as far as gravity is known and feet are seen from above, against the size of an average
    person.
    """
    if len(found) < _LEAST_STANDING:
        return None
    scale, sine = np.median(found, axis=0)
    sigma = np.hypot(_FOOT_SIGMA, up_sigma / sine)
    return float(1 + (scale - 1) * _PERSON_SIGMA**2 / (_PERSON_SIGMA**2 + sigma**2))


def scaled_betas(body: BodyModel, betas: Floats, scale: float) -> Floats:
    """The shape [10] whose bones are nearest to `scale` times those of `betas` [10]."""
    bones = body.bones(betas)[1:].reshape(-1)
    moves = (body.bones(np.eye(len(betas))) - body.bones(np.zeros(len(betas))))[:, 1:].reshape(len(betas), -1)
    gram = moves @ moves.T + _SHAPE_WEIGHT * np.eye(len(betas))
    return np.asarray(betas + np.linalg.solve(gram, moves @ ((scale - 1) * bones)))
