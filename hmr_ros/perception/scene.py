"""Whether an image shows another scene than the one before it (a folder of photos, a cut in a film), and whether
something stirs in it where nobody is known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hmr_ros.perception.detector import Window
from hmr_ros.types import Bools, Floats, Image

_SIDE, _SAMPLED_PX = 16, 64  # of the thumbnail that is compared, and of what it is made from
_BLANK = 8.0  # standard deviation of grey levels below which an image shows nothing: a covered lens is no new scene
# Correlation of thumbnails: 99 % of pairs of 60 photos have less than 0.53, two frames of one video 0.8 and more
_ALIKE = 0.6
_CELLS, _SAMPLES = 32, 160  # of the longer side: cells that are compared, and pixels that they are means of
_STIRS = 14.0  # grey levels by which a cell, a mean of 25 pixels, changes where noise and compression do not
_LEAST_CELLS = 2  # that must change
_MOMENT = 3  # images between two that are compared: from one to the next people hardly move


class SceneMemory:
    """Remembers the last image that showed anything."""

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._size = (0, 0)

    def changed(self, image: Image) -> bool:
        """Whether the BGR image [H,W,3] is of another size than the last one, or hardly alike; remembers it."""
        shown = _thumbnail(image)
        if float(shown.std()) < _BLANK:
            return False
        last, size = self._last, self._size
        self._last, self._size = shown, image.shape[:2]
        if last is None:
            return False
        return size != self._size or float((last * shown).mean() / (last.std() * shown.std())) < _ALIKE


class StirWatch:
    """Remembers whether something has moved since the image was last searched, but for people who are known."""

    def __init__(self) -> None:
        self._then: tuple[Floats, Bools] | None = None  # the image a moment ago, and where people were
        self._age = 0
        self._cell = 1.0  # px
        self._stirred = np.zeros((0, 0), np.bool_)

    def stirs(self, image: Image, known: Sequence[Floats]) -> Floats:
        """Where anything moved outside the boxes [4] px of `known` people: points [N,2] px, none where too little did;
        for each BGR image [H,W,3] in turn."""
        height, width = image.shape[:2]
        step, cell = max(1, max(height, width) // _SAMPLES), max(height, width) / _CELLS
        size = max(1, round(width / cell)), max(1, round(height / cell))
        cells = cv2.resize(image[::step, ::step], size, interpolation=cv2.INTER_AREA).astype(np.float64)
        self._cell = cell
        people = np.zeros(size[::-1], np.bool_)
        for box in known:
            low, high = np.floor(box[:2] / cell).astype(int), np.ceil(box[2:] / cell).astype(int)
            people[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)] = True
        if self._then is None or self._stirred.shape != people.shape:
            self._then, self._stirred = None, np.zeros_like(people)
        else:
            self._stirred |= (np.abs(cells - self._then[0]).max(-1) > _STIRS) & ~people & ~self._then[1]
        self._age += 1
        if self._then is None or self._age >= _MOMENT:
            self._then, self._age = (cells, people), 0
        rows, columns = np.nonzero(self._stirred)
        points = cell * (np.stack([columns, rows], 1) + 0.5)
        return points if len(points) >= _LEAST_CELLS else points[:0]

    def searched(self, window: Window) -> None:
        """It has been looked for who moves in this window."""
        low = np.array([window.left_px, window.top_px]) / self._cell
        high = low + window.size_px / self._cell
        x, y = (slice(max(round(float(a)), 0), max(round(float(b)), 0)) for a, b in zip(low, high, strict=True))
        self._stirred[y, x] = False


def _thumbnail(image: Image) -> Floats:
    """[16,16,3] grey levels around their mean."""
    step = max(1, min(image.shape[:2]) // _SAMPLED_PX)
    small = cv2.resize(image[::step, ::step], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    return np.asarray(small - small.mean())
