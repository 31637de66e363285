"""Boxes of people in the messages of other detectors: hmr_ros/RoiArray and vision_msgs/Detection2DArray."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from hmr_ros.types import Floats

_NO_SCORE = 1.0  # of somebody whose detector gives none


def boxes_of(message: Any, classes: Collection[str]) -> tuple[Floats, str]:
    """Boxes [B,5] (x0, y0, x1, y1 px, score 0..1) of the people in a message, and what is odd about the others.

    Of a Detection2DArray those are people whose likeliest class_id is one of `classes` (lower case), or who have none.
    """
    if hasattr(message, "rois"):
        return _usable([_of_roi(roi) for roi in message.rois]), ""
    rows, others = [], set()
    for detection in message.detections:
        best = max((r.hypothesis for r in detection.results), key=lambda h: h.score, default=None)
        name = "" if best is None else best.class_id.strip()
        if name and name.lower() not in classes:
            others.add(name)
            continue
        rows.append([*_corners(detection.bbox), _NO_SCORE if best is None else best.score])
    return _usable(rows), "" if rows or not others else _nobody(others, classes)


def class_names(text: str) -> frozenset[str]:
    """The names in `input.detections_classes`, lower case."""
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _of_roi(roi: Any) -> list[float]:
    return [roi.x, roi.y, roi.x + roi.width, roi.y + roi.height, roi.score or _NO_SCORE]


def _corners(box: Any) -> list[float]:
    """x0, y0, x1, y1 px of the upright box around a BoundingBox2D, which may be turned."""
    center = getattr(box.center, "position", box.center)  # before Humble the centre was a geometry_msgs/Pose2D
    c, s = abs(np.cos(box.center.theta)), abs(np.sin(box.center.theta))
    half = (c * box.size_x + s * box.size_y) / 2, (s * box.size_x + c * box.size_y) / 2
    return [center.x - half[0], center.y - half[1], center.x + half[0], center.y + half[1]]


def _usable(rows: list[list[float]]) -> Floats:
    """Without boxes that have no area or are made of no numbers; scores in 0..1."""
    boxes = np.array(rows, np.float64).reshape(-1, 5)
    boxes = boxes[np.isfinite(boxes).all(1) & (boxes[:, 2:4] > boxes[:, :2]).all(1)]
    boxes[:, 4] = boxes[:, 4].clip(0.0, 1.0)
    return boxes


def _nobody(others: set[str], classes: Collection[str]) -> str:
    named = ", ".join(repr(name) for name in sorted(others)[:6])
    return f"boxes are of class {named}, none of {', '.join(sorted(classes))}: set input.detections_classes"
