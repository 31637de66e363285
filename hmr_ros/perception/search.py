"""Which windows of the image the detector searches in each frame: the whole often, tiles in turn."""

from __future__ import annotations

import numpy as np

from hmr_ros.config import DetectorConfig
from hmr_ros.errors import ConfigError
from hmr_ros.perception.detector import Window
from hmr_ros.types import Floats

_WHOLE_PERIOD_S = 0.5  # between two searches of the whole image while somebody is tracked; of given boxes: none
# Where something stirs is searched sooner, in turn there and in the whole image, but less and less often as long as
# nobody comes of it
_SOONEST_S, _LATER, _LATEST_S = 0.06, 1.25, 0.2
_CALM_S = 0.5  # after so long without it is new again
BLAZEPOSE_TILES = "0.6,0.4"  # what "auto" means here; `finders.settled` knows which detector looks
_MIN_TILE_PX = 200  # below the 224 pixels of the detector a tile shows nothing new


def tiles(width: int, height: int, fractions: tuple[float, ...]) -> list[Window]:
    """Half-overlapping square windows that cover the image, ordered so that neighbours are far apart in time."""
    found = []
    for fraction in fractions:
        size = min(round(fraction * height), width, height)
        if size >= _MIN_TILE_PX:
            found += [Window(x, y, size) for y in _offsets(height, size) for x in _offsets(width, size)]
    # a stride coprime to the count visits all of them once, far from the previous one
    count = len(found)
    stride = next((s for s in range(max(1, int(0.382 * count)), count + 1) if np.gcd(s, count) == 1), 1)
    return [found[(i * stride) % count] for i in range(count)]


def whole(width: int, height: int) -> Window:
    """The smallest centred square that holds the whole image."""
    size = max(width, height)
    return Window((width - size) // 2, (height - size) // 2, size)


class Search:
    """The round of windows; the tracker owns it and resets it."""

    def __init__(self, config: DetectorConfig) -> None:
        self._first_frame, self.scan_period_s = config.scan_first_frame, config.scan_period_s
        self._whole_period_s = 0.0 if config.kind == "external" else _WHOLE_PERIOD_S
        self._fractions = _parse_fractions(config.tile_fractions)
        self.reset()

    def reset(self) -> None:
        """Start over, as with the first frame."""
        self._size = (0, 0)
        self._tiles: list[Window] = []
        self._next = 0
        self._due = 0.0
        self._last_ns: int | None = None
        self._whole_ns = 0
        self._stirs_ns = 0
        self._wait_s = _SOONEST_S
        self._closer = False

    def found(self) -> None:
        """Somebody new was found: more may come."""
        self._wait_s = _SOONEST_S

    def skip(self, stamp_ns: int) -> None:
        """No time to search this frame: the round takes longer, it is not caught up in one go."""
        if self._last_ns is not None:
            self._last_ns = stamp_ns

    def windows(self, width: int, height: int, stamp_ns: int, idle: bool, stirs: Floats | None = None) -> list[Window]:
        """Windows to search now; `idle` = nobody is tracked, so the whole image is searched every time; `stirs`: points
        [N,2] px where something moved and nobody is known."""
        first = self._last_ns is None
        if self._size != (width, height):
            self._size, self._tiles, self._next = (width, height), tiles(width, height, self._fractions), 0
        passed_s = 0.0 if self._last_ns is None else max(0.0, (stamp_ns - self._last_ns) * 1e-9)
        self._last_ns = stamp_ns
        chosen = []
        if first or idle or stamp_ns - self._whole_ns >= self._whole_period_s * 1e9:
            chosen.append(whole(width, height))
        elif stirs is not None and len(stirs) and stamp_ns - self._stirs_ns >= self._wait_s * 1e9:
            chosen.append(self._closest(stirs) if self._closer and self._tiles else whole(width, height))
            self._closer = not self._closer
            self._wait_s, self._stirs_ns = min(self._wait_s * _LATER, _LATEST_S), stamp_ns
        elif stamp_ns - self._stirs_ns > _CALM_S * 1e9:
            self._wait_s = _SOONEST_S
        if chosen and chosen[0].size_px >= max(width, height):
            self._whole_ns = stamp_ns
        if first and self._first_frame:
            return chosen + self._tiles
        self._due = min(self._due + passed_s * len(self._tiles) / self.scan_period_s, len(self._tiles))
        # the whole image counts as a tile, so that the cost of frames stays even
        count = max(0, int(np.ceil(self._due - 1e-6)) - len(chosen))
        self._due -= count
        chosen += [self._tiles[(self._next + i) % len(self._tiles)] for i in range(count)]
        self._next += count
        return chosen

    def _closest(self, points: Floats) -> Window:
        """The tile that holds most of them."""
        inside = [
            ((points >= [t.left_px, t.top_px]) & (points < [t.left_px + t.size_px, t.top_px + t.size_px]))
            for t in self._tiles
        ]
        return self._tiles[int(np.argmax([i.all(1).sum() for i in inside]))]


def _offsets(length: int, size: int) -> list[int]:
    steps = int(np.ceil((length - size) / (size / 2)))
    return [round(o) for o in np.linspace(0, length - size, steps + 1)]


def _parse_fractions(text: str) -> tuple[float, ...]:
    text = BLAZEPOSE_TILES if text == "auto" else text
    try:
        fractions = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        fractions = (0.0,)
    if any(not 0.05 <= f <= 1 for f in fractions):
        raise ConfigError(f"detector.tile_fractions is '{text}'; give auto or numbers between 0.05 and 1 like 0.6,0.4")
    return fractions
