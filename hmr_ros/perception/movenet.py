"""MoveNet MultiPose person detector: sees whole bodies, from any side, on the whole image or on a square window of it.

The network's maps are read here and not by the published graph, which keeps six people at most and takes all their key
points; a crop needs hips and shoulders.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hmr_ros.geometry.crops import roi_from_points
from hmr_ros.perception.detector import BODY_SCALE, Window, window_pixels, without_duplicates
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.runtime.tfjs import litert_model
from hmr_ros.types import Detection, Floats, Image

INPUT_PX = 256
NUM_KEYPOINTS = 17  # of COCO
_START = "StatefulPartitionedCall/sub_1"  # pixels in -1..1
_CENTRES = "StatefulPartitionedCall/Sigmoid"  # [1,S,S,1] whether somebody's box has its centre in this cell
_POINTS = "StatefulPartitionedCall/kpt_regress_0/conv2d_8/BiasAdd"  # [1,S,S,34] cells (y, x) from there to the points
_HEAT = "StatefulPartitionedCall/Sigmoid_1"  # [1,S,S,17] whether anybody's key point lies in this cell
_CELL_PX = 4
_APART_CELLS = 5  # a square of so many cells holds one centre
# Key points that the centre expects must be seen near by: in noise the best eight have 0.03 to 0.08, and of 269
# proposals of people 2 % have less than 0.2
_SEEN_POINTS, _LEAST_SEEN = 8, 0.15
_NEAR_CELLS, _SPREAD_CELLS2 = 4, 19.2  # where a key point may lie, as in the published graph
_SHOULDERS, _HIPS = slice(5, 7), slice(11, 13)
# Crop radius per length of the trunk, the median of 65 people in every pose whose crops the landmark network agrees
# with (5 to 95 %: 1.6 to 2.2); a trunk seen from its end is short, but no key point lies farther out than this
_RADIUS_PER_TRUNK, _RADIUS_PER_REACH = 1.88, 0.95
_ODDS = 2.0  # a score of a third here means as much as 0.5 of BlazePose


class MoveNetDetector:
    """A `perception.detector.Finder`."""

    def __init__(self, graph: Path, weights: Path, min_score: float, threads: int, input_px: int = INPUT_PX) -> None:
        """`graph` and `weights` as published for TensorFlow.js."""
        content = litert_model(graph, weights, _START, (_CENTRES, _POINTS, _HEAT), input_px)
        self._model = LiteRtModel(graph, threads, content=content)
        self._input_px = input_px
        self.min_score = min_score

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""
        outputs = self._model(window_pixels(image, window, self._input_px))
        maps = outputs[_CENTRES][0, :, :, 0], outputs[_POINTS][0], outputs[_HEAT][0]
        scores, points = people(*maps, self.min_score)
        points[..., :2] *= window.size_px * _CELL_PX / self._input_px
        points[..., :2] += [window.left_px, window.top_px]
        return without_duplicates([_detection(p, float(s)) for p, s in zip(points, scores, strict=True)])


def people(centres: Floats, points: Floats, heat: Floats, min_score: float) -> tuple[Floats, Floats]:
    """Scores [P] and key points [P,17,3] (x, y in cells, how certainly seen) of the peaks of `centres` [S,S] above
    `min_score`.

    `points` [S,S,34]: where the key points (y, x) of somebody centred in a cell lie from there; `heat` [S,S,17]: where
    key points are seen, whoever's they are.
    """
    alone = centres >= cv2.dilate(centres, np.ones((_APART_CELLS, _APART_CELLS), np.uint8))
    scores = _comparable(centres.astype(np.float64))
    rows, columns = np.nonzero(alone & (scores >= min_score))
    relative = points[rows, columns].astype(np.float64).reshape(-1, NUM_KEYPOINTS, 2)
    found = (relative + np.stack([rows, columns], -1)[:, None])[..., ::-1]
    seen = _seen(found, heat)
    real = best_seen(seen) >= _LEAST_SEEN
    return scores[rows, columns][real], np.concatenate([found, seen[..., None]], -1)[real]


def best_seen(seen: Floats) -> Floats:
    """[...] how certainly the best half of somebody's key points [...,17] is seen: people show no more than that."""
    best: Floats = np.sort(seen, axis=-1)[..., -_SEEN_POINTS:].mean(-1)
    return best


def _seen(points: Floats, heat: Floats) -> Floats:
    """[P,17] how certainly each key point [P,17,2] (x, y in cells) is seen near where it is expected."""
    steps = np.arange(-_NEAR_CELLS, _NEAR_CELLS + 1)
    around = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    cells = np.rint(points).astype(int)[:, :, None] + around
    inside = ((cells >= 0) & (cells < heat.shape[0])).all(-1)
    x, y = np.moveaxis(np.clip(cells, 0, heat.shape[0] - 1), -1, 0)
    nearness = np.exp(-((cells - points[:, :, None]) ** 2).sum(-1) / _SPREAD_CELLS2)
    values: Floats = (heat[y, x, np.arange(NUM_KEYPOINTS)[:, None]] * nearness * inside).max(-1)
    return values


def _comparable(scores: Floats) -> Floats:
    """Scores on BlazePose's scale, so that `detector.min_score` means the same for both."""
    odds = _ODDS * scores / np.maximum(1.0 - scores, 1e-9)
    return odds / (1.0 + odds)


def _detection(points: Floats, score: float) -> Detection:
    """The crop that the landmark network expects of somebody with these key points [17,3] px, px, certainty."""
    seen, points = points, points[:, :2]
    hip, neck = points[_HIPS].mean(0), points[_SHOULDERS].mean(0)
    trunk = max(float(np.linalg.norm(neck - hip)), 1e-6)
    reach = float(np.linalg.norm(points - hip, axis=-1).max())
    radius = max(_RADIUS_PER_TRUNK * trunk, _RADIUS_PER_REACH * reach)
    return Detection(roi_from_points(hip, hip + (neck - hip) * (radius / trunk), BODY_SCALE), score, points=seen)
