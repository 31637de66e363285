"""Lamps, the shadows they cast, and where they are at random."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from hmr_ros.types import Floats, Image, Ints
from hmr_ros.view.raster import fragments

_SHADOW_PX, _SHADOW_M = 160, 2.6  # of the image that a lamp sees
_BIAS_M = 0.03
_TAPS = ((-0.9, -0.4), (0.4, -0.9), (0.9, 0.4), (-0.4, 0.9), (0.0, 0.0))  # px, where a shadow is looked up
_FLOOR_STEP = 4  # px of the image for one of the floor's
_CONTACT_M = 0.25
_FAR_M = 30.0


@dataclass(frozen=True)
class Lamps:
    """Where light comes from, in camera axes; colours are linear BGR, 1 = white light of full strength."""

    key: Floats  # [3] unit, towards the main lamp
    key_color: Floats  # [3]
    fill: Floats  # [3] unit
    fill_color: Floats  # [3]
    up: Floats  # [3] unit, away from the floor
    sky: Floats  # [3] from above
    ground: Floats  # [3] from below
    shadow: float  # 0..1, how dark shadows are


def random_lamps(up: Floats, rng: np.random.Generator) -> Lamps:
    """A sun, a window or a ceiling lamp, a second source, and light from all around; `up` [3] in camera axes."""
    side = rng.normal(0, 1, 3)
    key = side + up * rng.uniform(0.3, 2.0) + np.array([0.0, 0.0, -rng.uniform(0.0, 1.2)])
    fill = rng.normal(0, 1, 3) + np.array([0.0, 0.0, -0.8])
    soft = rng.uniform(0, 1)  # of an overcast sky against a bright lamp
    warm = np.array([1 - rng.uniform(-0.1, 0.3), 1.0, 1 + rng.uniform(-0.1, 0.15)])
    ambient = (0.25 + 0.45 * soft) * rng.uniform(0.8, 1.3)
    return Lamps(
        key=_unit(key), key_color=(1.0 - 0.7 * soft) * rng.uniform(0.7, 1.3) * warm,
        fill=_unit(fill), fill_color=rng.uniform(0.0, 0.3) * np.ones(3),
        up=_unit(up), sky=ambient * np.array([1 + rng.uniform(-0.05, 0.2), 1.0, 1.0]),
        ground=ambient * rng.uniform(0.3, 0.7) * np.array([0.85, 0.95, 1.0]),
        shadow=rng.uniform(0.6, 1.0) * (1 - 0.5 * soft),
    )  # fmt: skip


@dataclass(frozen=True)
class LampView:
    """What a far lamp sees of a mesh: of each ray how near the first surface is."""

    axes: Floats  # [3,3] z away from the lamp
    middle: Floats  # [3] m
    near: Floats  # [S,S]

    def shadowed(self, places: Floats) -> Floats:
        """How much [M], 0..1, of the lamp's light the mesh keeps from places [M,3] m."""
        points = ((places - self.middle) @ self.axes.T).astype(np.float32)
        own = _SHADOW_M - points[:, 2] + np.float32(_BIAS_M)
        at = points[:, :2] * np.float32(_SHADOW_PX / _SHADOW_M) + np.float32(_SHADOW_PX / 2)
        dark = np.zeros(len(points), np.float32)
        for tap in _TAPS:
            x, y = np.clip(at + np.array(tap, np.float32), 0, _SHADOW_PX - 1).astype(np.int32).T
            dark += self.near[y, x] > own
        return dark / len(_TAPS)


def lamp_view(caster: Floats, faces: Ints, lamp: Floats) -> LampView:
    """A mesh `caster` [V,3] m seen from a far lamp in direction `lamp` [3]."""
    axes, middle = _lamp_axes(lamp), caster.mean(0)
    mesh = (caster - middle) @ axes.T
    px = (mesh[:, :2] * (_SHADOW_PX / _SHADOW_M) + _SHADOW_PX / 2).astype(np.float32)
    sample, _, _, near = fragments(px, _SHADOW_M - mesh[:, 2], faces, _SHADOW_PX, _SHADOW_PX)
    seen = np.zeros((_SHADOW_PX, _SHADOW_PX), np.float32)
    seen.reshape(-1)[sample] = near
    seen[[0, -1]] = seen[:, [0, -1]] = 0  # what lies outside is lit
    return LampView(axes, middle, seen)


def darken_floor(image: Image, caster: Floats, seen: LampView, K: Floats, lamps: Lamps, strength: float) -> None:
    """Shadow of a mesh `caster` [V,3] m, as the main lamp sees it, in the image [H,W,3], in place, on the floor under
    its lowest point."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height:_FLOOR_STEP, 0:width:_FLOOR_STEP]
    ray = np.stack([columns.reshape(-1), rows.reshape(-1), np.ones(rows.size)], 1) @ np.linalg.inv(K).T
    low = float((caster @ lamps.up).min())  # the floor is where up . x = low
    falls = ray @ lamps.up
    with np.errstate(divide="ignore", invalid="ignore"):
        away = low / falls
    on = np.flatnonzero((away > 0) & (away < _FAR_M))
    if not len(on):
        return
    places = ray[on] * away[on, None]
    dark = np.zeros(rows.size, np.float32)
    if lamps.key @ lamps.up > 0.15:
        dark[on] = lamps.shadow * seen.shadowed(places)
    feet = caster[caster @ lamps.up < low + 0.12]
    gap = cKDTree(feet).query(places, distance_upper_bound=_CONTACT_M)[0]  # infinite where nothing is near
    dark[on] = np.maximum(dark[on], np.clip(1 - gap / _CONTACT_M, 0, 1))
    soft = cv2.GaussianBlur(dark.reshape(rows.shape), (0, 0), 0.8) * np.float32(strength)
    image[:] = (image * (1 - cv2.resize(soft, (width, height)))[..., None]).astype(np.uint8)


def _lamp_axes(lamp: Floats) -> Floats:
    """Rotation [3,3] into axes whose z points away from the lamp."""
    z = -lamp / np.linalg.norm(lamp)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _unit(v: Floats) -> Floats:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-9))
