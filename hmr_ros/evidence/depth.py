"""What a depth image says of a person: how far the surface is where the limb joints are seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hmr_ros.types import Array, Floats

if TYPE_CHECKING:
    from jaxtyping import Float

PATCH_M = 0.035  # half a side of the patch around a landmark
_MODE_BEHIND_M = 0.10  # what lies further behind the nearest surface of a patch, noise aside, is something else
_NEAREST_SHARE = 0.15  # of the patch's known pixels; fewer are stray ones
_LEAST_PIXELS = 4
_SIGMA_SENSOR_M, _SIGMA_SENSOR_FAR = 1.2e-3, 1.9e-3  # of structured light and stereo; the second times (z - 0.4 m)^2
_SENSOR_SHARE, _SPREAD_SHARE = 0.5, 0.5  # what the median leaves of either
_NEAREST_M = 0.1


@dataclass(frozen=True)
class SurfaceDepths:
    """What the depth image says at the limb landmarks of one person."""

    z: Float[Array, " 12"]  # m along the optical axis of the real camera, of the surface there; NaN where unknown
    sigma: Float[Array, " 12"]  # m, one standard deviation


def surface_depths(depth: Floats, pixels: Floats, size_px: float) -> tuple[Floats, Floats]:
    """Distance along the optical axis [P] m of the nearest surface around each of `pixels` [P,2], and its standard
    deviation [P] m: the sensor's and what the patch leaves open. NaN where the depth image does not know.

    `depth` [H,W] m, NaN where unknown; `size_px`: half a side of the patch in pixels.
    """
    reach = max(1, round(size_px))
    found, sigma = np.full(len(pixels), np.nan), np.full(len(pixels), np.nan)
    height, width = depth.shape
    for k, (x, y) in enumerate(np.round(np.nan_to_num(pixels, nan=-1e6)).astype(int).tolist()):
        patch = depth[max(0, y - reach) : max(0, y + reach + 1), max(0, x - reach) : max(0, x + reach + 1)]
        if not (0 <= x < width and 0 <= y < height):
            continue
        known = np.sort(patch[patch > _NEAREST_M])
        if len(known) < _LEAST_PIXELS:
            continue
        nearest = known[int(_NEAREST_SHARE * len(known))]
        reach_m = _MODE_BEHIND_M + 2 * _sensor(nearest)
        mode = known[np.searchsorted(known, nearest - reach_m) : np.searchsorted(known, nearest + reach_m)]
        count = len(mode)  # sorted
        found[k] = mode[count // 2]
        spread = 0.5 * (mode[int(0.84 * count)] - mode[int(0.16 * count)])
        sigma[k] = math.hypot(_SENSOR_SHARE * _sensor(found[k]), _SPREAD_SHARE * spread)
    return found, sigma


def _sensor(z: float) -> float:
    """Standard deviation [m] of a depth camera's pixel at `z` m."""
    return float(_SIGMA_SENSOR_M + _SIGMA_SENSOR_FAR * (z - 0.4) ** 2)
