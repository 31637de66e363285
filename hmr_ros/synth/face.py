"""Painted faces: eyes, brows, nose, mouth and beard as an image in the plane of the face of the open body at rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from hmr_ros.types import Floats, Image, Ints

# the image's place on the resting face, m: x to the person's left, y up from the pelvis
LEFT_M, TOP_M, WIDE_M, HIGH_M = -0.085, 0.70, 0.17, 0.23
_PX_PER_M = 600.0
_FACES = 50
_FINE = 16  # sub-pixel steps of OpenCV's drawing
_EYE = (0.0300, 0.5855)
_BROW_Y, _NOSE_Y, _MOUTH_Y, _CHIN_Y = 0.6035, 0.547, 0.5235, 0.483


@dataclass(frozen=True)
class Face:
    """Colours of the face [h,w,3] BGR 0..255, and how much of them there is [h,w] over the skin."""

    color: Floats
    cover: Floats


def random_face(skin: Floats, hair: Floats, rng: np.random.Generator, beard: bool) -> Face:
    """One of a hundred faces, half of them bearded, in the colours of somebody's `skin` and `hair` [3]."""
    inks, cover = _drawn(int(rng.integers(_FACES)), beard)
    color = inks[..., 0] * np.asarray(skin, np.float32) + inks[..., 1] * np.asarray(hair, np.float32) + inks[..., 2]
    return Face(np.clip(color, 0, 255), cover)


def _ink(skin: float | tuple[float, float, float] = 0.0, hair: float = 0.0, own: Floats | float = 0.0) -> Floats:
    """Parts [3,3] of skin, hair and white light in each of the channels of a colour."""
    return np.stack(
        [np.broadcast_to(skin, 3), np.full(3, hair), np.broadcast_to(np.asarray(own, np.float64), 3)], axis=1
    )


@lru_cache(maxsize=2 * _FACES)
def _drawn(index: int, beard: bool) -> tuple[Floats, Floats]:
    """Inks [h,w,3,3] and cover [h,w] of a face."""
    rng = np.random.default_rng([index, int(beard)])
    painter = _Painter()
    painter.blob(0.0, 0.56, 0.05, 0.075, _ink((0.94, 0.97, 1.02)), 0.25, 9)  # a little redder than the neck
    for side in (-1, 1):
        painter.blob(side * 0.042, 0.552, 0.017, 0.014, _ink((0.82, 0.86, 1.05)), rng.uniform(0.2, 0.6), 8)  # cheeks
        painter.blob(side * _EYE[0], _EYE[1] - 0.001, 0.022, 0.013, _ink(0.72), rng.uniform(0.4, 0.8), 5)  # sockets
        painter.blob(side * 0.0075, _NOSE_Y - 0.003, 0.0042, 0.0022, _ink(0.28), 0.8, 1.5)  # nostrils
        painter.line([(side * 0.019, 0.552), (side * 0.03, 0.53)], 0.003, _ink(0.8), 0.4, 3)
    painter.blob(0.0, _NOSE_Y, 0.014, 0.011, _ink((0.85, 0.88, 1.0)), 0.35, 5)
    if beard:
        _beard(painter, rng.uniform(0.1, 1.0))
    _mouth(painter, rng)
    _eyes(painter, rng)
    if rng.random() < 0.15:
        _glasses(painter, rng)
    return painter.inks, painter.cover


def _eyes(painter: _Painter, rng: np.random.Generator) -> None:
    open_m = 0.0052 if rng.random() < 0.95 else 0.001
    iris = np.array([(40, 60, 90), (25, 38, 55), (22, 30, 42), (105, 90, 65), (60, 85, 70)][rng.integers(5)], float)
    arch, thick, strength = rng.uniform(0.001, 0.004), rng.uniform(0.003, 0.007), rng.uniform(0.6, 0.95)
    for side in (-1, 1):
        x, y = side * _EYE[0], _EYE[1]
        painter.blob(x, y, 0.0145, open_m, _ink(own=np.array([190.0, 200, 208])), 1.0, 1)
        painter.blob(x, y + 0.0005, 0.0058, min(0.0058, open_m + 0.0008), _ink(own=iris), 1.0, 0.8)
        painter.blob(x, y + 0.0005, 0.0028, min(0.0028, open_m), _ink(own=12), 1.0, 0.6)
        lid = [(x - 0.015, y - 0.001), (x - 0.007, y + 0.0048), (x + 0.006, y + 0.0052), (x + 0.0155, y)]
        painter.line(lid, 0.0026, _ink(hair=0.35, own=12), 0.9, 0.8)
        painter.line([(a, 2 * y - b - 0.0005) for a, b in lid], 0.0012, _ink(0.6), 0.6, 0.8)
        brow = [(side * 0.0135, _BROW_Y - 0.002), (side * 0.03, _BROW_Y + arch), (side * 0.048, _BROW_Y - 0.003)]
        painter.line(brow, thick, _ink(0.1, 0.6), strength, 1.6)


def _mouth(painter: _Painter, rng: np.random.Generator) -> None:
    red = _ink((0.62, 0.62, 0.88)) if rng.random() < 0.75 else _ink(own=np.array([60.0, 50, 170]))
    wide, smile = rng.uniform(0.021, 0.027), rng.uniform(-0.002, 0.005)
    painter.blob(0, _MOUTH_Y + 0.0035, wide * 0.85, 0.004, red, 0.9, 1.5)
    painter.blob(0, _MOUTH_Y - 0.005, wide * 0.75, 0.0055, red * 1.08, 0.9, 1.5)
    if rng.random() < 0.2:
        teeth = _ink(own=np.array([200.0, 210, 215]))
        painter.blob(0, _MOUTH_Y - 0.001, wide * 0.7, rng.uniform(0.002, 0.005), teeth, 0.9, 1)
    line = [(-wide, _MOUTH_Y + smile), (0.0, _MOUTH_Y - 0.0008), (wide, _MOUTH_Y + smile)]
    painter.line(line, 0.0016, _ink((0.25, 0.25, 0.35)), 0.9, 1)
    painter.blob(0, _MOUTH_Y - 0.014, 0.014, 0.003, _ink(0.72), 0.5, 3)


def _beard(painter: _Painter, thick: float) -> None:
    color, strength = _ink(0.25, 0.6), min(1.0, 0.25 + thick)
    painter.blob(0, _MOUTH_Y + 0.013, 0.026, 0.005, color, strength, 3)
    painter.blob(0, _CHIN_Y + 0.008, 0.034, 0.022, color, strength, 5)
    for side in (-1, 1):
        cheek = [(side * 0.03, 0.505), (side * 0.055, 0.525), (side * 0.068, 0.58)]
        painter.line(cheek, 0.028, color, strength * 0.9, 6)


def _glasses(painter: _Painter, rng: np.random.Generator) -> None:
    frame = _ink(own=rng.uniform(10, 90))
    high = rng.uniform(0.014, 0.02)
    for side in (-1, 1):
        painter.ring(side * 0.031, 0.584, 0.024, high, 0.0025, frame)
        painter.line([(side * 0.054, 0.587), (side * 0.082, 0.59)], 0.003, frame, 1.0, 0.6)
    painter.line([(-0.008, 0.588), (0.008, 0.588)], 0.0025, frame, 1.0, 0.6)


class _Painter:
    """Soft strokes in metres of the resting face."""

    def __init__(self) -> None:
        shape = (round(HIGH_M * _PX_PER_M), round(WIDE_M * _PX_PER_M))
        self.inks = np.zeros((*shape, 3, 3), np.float32)
        self.cover = np.zeros(shape, np.float32)

    def blob(
        self, x: float, y: float, half_x: float, half_y: float, ink: Floats, strength: float, soft_px: float
    ) -> None:
        """An ellipse."""
        part, corner, mask = self._part([(x - half_x, y + half_y), (x + half_x, y - half_y)], soft_px)
        axes = (round(half_x * _PX_PER_M * _FINE), round(half_y * _PX_PER_M * _FINE))
        cv2.ellipse(mask, self._at((x, y), corner), axes, 0, 0, 360, (255.0,), -1, cv2.LINE_AA, 4)
        self._lay(part, mask, ink, strength, soft_px)

    def ring(self, x: float, y: float, half_x: float, half_y: float, thick: float, ink: Floats) -> None:
        """The outline of an ellipse."""
        part, corner, mask = self._part([(x - half_x, y + half_y), (x + half_x, y - half_y)], 2.0)
        axes = (round(half_x * _PX_PER_M * _FINE), round(half_y * _PX_PER_M * _FINE))
        width = max(1, round(thick * _PX_PER_M))
        cv2.ellipse(mask, self._at((x, y), corner), axes, 0, 0, 360, (255.0,), width, cv2.LINE_AA, 4)
        self._lay(part, mask, ink, 1.0, 0.6)

    def line(
        self, points: list[tuple[float, float]], thick: float, ink: Floats, strength: float, soft_px: float
    ) -> None:
        """A stroke through the points."""
        part, corner, mask = self._part(points, soft_px + thick * _PX_PER_M / 4)
        path = np.array([self._at(point, corner) for point in points], np.int32)
        width = max(1, round(thick * _PX_PER_M))
        cv2.polylines(mask, [path], False, (255.0,), width, cv2.LINE_AA, 4)
        self._lay(part, mask, ink, strength, soft_px)

    def _part(self, points: list[tuple[float, float]], soft_px: float) -> tuple[tuple[slice, slice], Ints, Image]:
        """The part of the image that a soft stroke through the points touches, its corner, and an empty mask."""
        px = (np.array(points) * [1, -1] + [-LEFT_M, TOP_M]) * _PX_PER_M
        pad = 2 + 2.5 * soft_px
        low = np.clip((px.min(0) - pad).astype(int), 0, np.array(self.cover.shape[::-1]) - 1)
        high = np.clip((px.max(0) + pad).astype(int) + 2, low + 1, self.cover.shape[::-1])
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        return (slice(low[1], high[1]), slice(low[0], high[0])), low, mask

    @staticmethod
    def _at(point: tuple[float, float], corner: Ints) -> tuple[int, int]:
        x = ((point[0] - LEFT_M) * _PX_PER_M - corner[0]) * _FINE
        y = ((TOP_M - point[1]) * _PX_PER_M - corner[1]) * _FINE
        return round(x), round(y)

    def _lay(self, part: tuple[slice, slice], mask: Image, ink: Floats, strength: float, soft_px: float) -> None:
        soft_px *= _PX_PER_M / 1000
        side = int(2.5 * soft_px) * 2 + 1
        soft = cv2.GaussianBlur(mask, (side, side), soft_px).astype(np.float32) * np.float32(strength / 255)
        under = self.cover[part]
        total = soft + under * (1 - soft)
        blend = (soft / np.maximum(total, np.float32(1e-6)))[..., None, None]
        self.inks[part] += blend * (np.asarray(ink, np.float32) - self.inks[part])
        self.cover[part] = total
