"""What cloth looks like near by: prints and weaves as small tiles, and folds as sums of waves on the resting body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from hmr_ros.types import Floats, Image

TILE_PX = 128
_STEPS = 4  # of halved tiles
_PATTERNS = 120


@dataclass(frozen=True)
class Fabric:
    """Two colours [3] BGR mixed by a pattern that repeats every `tile_m` metres; smaller copies of the pattern are for
    cloth that is far away."""

    color: Floats
    other: Floats
    pattern: list[Image]  # [S,S] uint8, share of the other colour
    tile_m: float
    grain: float  # standard deviation of the brightness, of 1
    shift: Floats  # [2] m

    def at(self, places: Floats, px_per_m: float) -> Floats:
        """Colours [M,3] at places [M,2] m of the cloth, seen at so many pixels a metre."""
        step = int(np.clip(np.log2(TILE_PX / self.tile_m / max(px_per_m, 1.0)), 0, _STEPS))
        side = TILE_PX >> step
        index = ((places + self.shift.astype(np.float32)) * np.float32(side / self.tile_m)).astype(np.int32) & (
            side - 1
        )
        flat = index[:, 1] * side + index[:, 0]
        share = self.pattern[step].reshape(-1)[flat].astype(np.float32) / np.float32(255)
        bright = 1 + np.float32(self.grain) * _noise()[step].reshape(-1)[flat]
        first, second = self.color.astype(np.float32), self.other.astype(np.float32)
        return np.asarray((first + share[:, None] * (second - first)) * bright[:, None])


@dataclass(frozen=True)
class Folds:
    """Waves on the resting body: height [m] = sum of heights * sin(waves x + phases)."""

    waves: Floats  # [W,3] rad a metre
    phases: Floats  # [W]
    heights: Floats  # [W] m

    def height(self, places: Floats) -> Floats:
        """Height [M] m at places [M,3] m."""
        angle = places.astype(np.float32) @ self.waves.T.astype(np.float32) + self.phases.astype(np.float32)
        return np.asarray(np.sin(angle) @ self.heights.astype(np.float32))

    def slope(self, places: Floats) -> Floats:
        """Gradient [M,3] of the height at places [M,3] m."""
        angle = places @ self.waves.T.astype(np.float32) + self.phases.astype(np.float32)
        return np.asarray(np.cos(angle) @ (self.heights[:, None] * self.waves).astype(np.float32))


def random_folds(rng: np.random.Generator, loose: float) -> Folds:
    """Folds of cloth that is `loose` 0..1: long ones along the body, short ones across."""
    count = 7
    length = np.exp(rng.uniform(np.log(0.04), np.log(0.25), count))
    way = rng.normal(0, 1, (count, 3)) * [1.0, rng.uniform(0.4, 1.2), 1.0]
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return Folds(
        waves=way * (2 * np.pi / length)[:, None],
        phases=rng.uniform(0, 2 * np.pi, count),
        heights=length * (0.006 + 0.03 * loose) * rng.uniform(0.3, 1.2, count),
    )


def random_fabric(color: Floats, rng: np.random.Generator, calm: float = 0.55) -> Fabric:
    """Cloth of about `color` [3] BGR: plain in `calm` of all cases, else striped, checked, printed or patched."""
    patterns = _patterns()
    plain = rng.random() < calm
    return Fabric(
        color=np.asarray(color, np.float64), other=rng.uniform(10, 240, 3),
        pattern=patterns[0] if plain else patterns[rng.integers(1, len(patterns))],
        tile_m=float(np.exp(rng.uniform(np.log(0.2), np.log(0.8)))), grain=rng.uniform(0.01, 0.07),
        shift=rng.uniform(0, 1, 2),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _noise() -> list[Floats]:
    """Noise [S,S] of about unit variance, fine and coarse, that every cloth has more or less of; and smaller copies."""
    white = np.tile(np.random.default_rng(0).standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (3, 3))
    middle = slice(TILE_PX, 2 * TILE_PX)  # repeats without a seam
    soft = [np.asarray(cv2.GaussianBlur(white, (0, 0), sigma))[middle, middle] for sigma in (0.8, 9.0)]
    return _smaller(0.9 * soft[0] / soft[0].std() + 0.4 * soft[1] / soft[1].std())


@lru_cache(maxsize=1)
def _patterns() -> list[list[Image]]:
    """Shares of the second colour [S,S] and smaller copies: none first, then stripes, checks, blotches and prints."""
    rng = np.random.default_rng(1)
    grid = np.arange(TILE_PX, dtype=np.float32) / TILE_PX
    drawn = [np.zeros((TILE_PX, TILE_PX), np.float32)]
    for k in range(_PATTERNS):
        style = (_round, _along, _check, _blotches, _motifs)[k % 5]
        drawn.append(np.clip(style(grid, rng), 0, 1))
    return [_smaller((255 * d).astype(np.uint8)) for d in drawn]


def _smaller(tile: Floats) -> list[Floats]:
    tiles = [tile]
    for _ in range(_STEPS):
        half = len(tiles[-1]) // 2
        tiles.append(np.asarray(cv2.resize(tiles[-1], (half, half), interpolation=cv2.INTER_AREA)))
    return tiles


def _bars(grid: Floats, rng: np.random.Generator, most: int) -> Floats:
    return ((grid * rng.integers(2, most)) % 1 < rng.uniform(0.1, 0.6)).astype(np.float32)


def _round(grid: Floats, rng: np.random.Generator) -> Floats:
    """Stripes round the body."""
    return np.repeat(_bars(grid, rng, 12)[:, None], len(grid), 1)


def _along(grid: Floats, rng: np.random.Generator) -> Floats:
    """Stripes along the body."""
    return np.repeat(_bars(grid, rng, 16)[None], len(grid), 0)


def _check(grid: Floats, rng: np.random.Generator) -> Floats:
    lines = _bars(grid, rng, 9)
    return np.asarray(0.5 * (lines[:, None] + lines[None]) * rng.uniform(0.4, 1.0))


def _blotches(grid: Floats, rng: np.random.Generator) -> Floats:
    cells = int(rng.integers(4, 14))
    coarse = rng.uniform(0, 1, (cells, cells)).astype(np.float32)
    share = np.asarray(cv2.resize(coarse, (len(grid), len(grid)), interpolation=cv2.INTER_CUBIC))
    return np.asarray(share > 0.55, np.float32) if rng.random() < 0.5 else share


def _motifs(grid: Floats, rng: np.random.Generator) -> Floats:
    image = np.zeros((len(grid), len(grid)), np.float32)
    for _ in range(int(rng.integers(2, 14))):
        at, size, share = rng.integers(0, len(grid), 2), int(rng.integers(4, 26)), rng.uniform(0.4, 1)
        if rng.random() < 0.5:
            cv2.circle(image, (int(at[0]), int(at[1])), size // 2, (share,), -1, cv2.LINE_AA)
        else:
            far = at + rng.integers(-size, size, 2)
            cv2.rectangle(image, (int(at[0]), int(at[1])), (int(far[0]), int(far[1])), (share,), -1)
    return image
