"""BlazePose person detector on the whole image or on a square window of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from hmr_ros.geometry.crops import roi_from_points
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.types import Detection, Floats, Image

INPUT_PX = 224
_STRIDES = (8, 16, 32, 32, 32)  # of the five feature maps, two anchors a cell each
_LEVELS = np.arange(256, dtype=np.float32) / 127.5 - 1.0  # of a pixel as the networks want them
BODY_SCALE = 1.25  # crop side = 2 x 1.25 x distance of the two key points
_SAME_BODY = 0.5  # two proposals whose hips are closer than this share of their body are one person


@dataclass(frozen=True)
class Window:
    """Square part of a image to search; may reach beyond its border."""

    left_px: int
    top_px: int
    size_px: int


def anchors() -> Floats:
    """Anchor centres [2254,2] in 0..1 of the input, in the order of the network's outputs."""
    rows = []
    for stride in sorted(set(_STRIDES)):
        cells = INPUT_PX // stride
        per_cell = 2 * _STRIDES.count(stride)
        centres = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(centres, centres, indexing="ij")
        rows.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(rows)


class Finder(Protocol):
    """What finds people in a window. Stateless: where to look is the caller's choice (see perception/search.py)."""

    min_score: float  # proposals below it are left out; may change between two images

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""


class Detector:
    """BlazePose's `Finder`: looks for a face and hips."""

    def __init__(self, model: Path, min_score: float, threads: int) -> None:
        self._model = LiteRtModel(model, threads)
        self.min_score = min_score
        self._anchors = anchors()

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""
        outputs = list(self._model(window_pixels(image, window, INPUT_PX)).values())
        boxes, logits = sorted((o[0] for o in outputs), key=lambda o: -o.shape[-1])
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -50, 50)))
        found = np.flatnonzero(scores >= self.min_score)
        # entries 4..7: mid hip and the point that sets size and direction, relative to the anchor
        points = boxes[found, 4:8].reshape(-1, 2, 2) / INPUT_PX + self._anchors[found, None]
        points = points * window.size_px + [window.left_px, window.top_px]
        detections = [
            Detection(roi_from_points(hip, top, BODY_SCALE), float(score))
            for (hip, top), score in zip(points, scores[found], strict=True)
        ]
        return without_duplicates(detections)


def without_duplicates(detections: list[Detection]) -> list[Detection]:
    """The best proposal of each body, best first: bodies are told apart by their hips, not by box overlap."""
    kept: list[Detection] = []
    for d in sorted(detections, key=lambda d: -d.score):
        if all(not same_place(d, k) for k in kept):
            kept.append(d)
    return kept


def same_place(a: Detection, b: Detection) -> bool:
    """Whether two proposals mean the same body."""
    body_px = min(a.roi.size_px, b.roi.size_px) / (2 * BODY_SCALE)
    return float(np.linalg.norm(a.roi.center_px - b.roi.center_px)) < _SAME_BODY * body_px


def window_pixels(image: Image, window: Window, side_px: int) -> Floats:
    """[1,side,side,3] RGB in -1..1 of a window of the BGR image; black beyond the border."""
    height, width = image.shape[:2]
    x0, y0 = max(0, window.left_px), max(0, window.top_px)
    x1, y1 = min(width, window.left_px + window.size_px), min(height, window.top_px + window.size_px)
    scale = side_px / window.size_px
    canvas = np.zeros((side_px, side_px, 3), np.uint8)
    u0, v0 = round((x0 - window.left_px) * scale), round((y0 - window.top_px) * scale)
    u1, v1 = round((x1 - window.left_px) * scale), round((y1 - window.top_px) * scale)
    if u1 > u0 and v1 > v0 and x1 > x0 and y1 > y0:
        shrunk = cv2.resize(image[y0:y1, x0:x1], (u1 - u0, v1 - v0), interpolation=cv2.INTER_AREA)
        canvas[v0:v1, u0:u1] = shrunk
    return np.asarray(cv2.LUT(cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB), _LEVELS)[None], np.float32)
