"""People whom another detector saw: boxes that come with the frames, behind the contract of our own detectors."""

from __future__ import annotations

import numpy as np

from hmr_ros.config import DetectorConfig, TrackerConfig
from hmr_ros.perception.detector import Window
from hmr_ros.perception.tracker import PersonTracker
from hmr_ros.types import Detection, Floats, Frame, Image, Roi, Track

# Crop side per longer side of a box, on 81 boxes of five clips: somebody in full view is found in every one of them,
# and so is somebody of whom a box, wide or cut off by the image's lower border, shows the upper half
_FULL, _HALF = 1.25, 1.8
_WIDE = 0.75  # width per height from which a box shows a part of a body, or somebody who sits or lies
_LYING = 1.2  # the same, from which somebody may lie
_BORDER_PX = 4.0
# a box does not say where the head is, and upright crops show 1 to 5 of ten lying people: every other try is turned
_TURNS = (0.0, 0.0, np.pi / 2, -np.pi / 2)


class ExternalFinder:
    """A `perception.detector.Finder` that proposes the boxes it was given for this image."""

    def __init__(self, min_score: float) -> None:
        self.min_score = min_score
        self.boxes: Floats = np.zeros((0, 5))  # x0, y0, x1, y1 px, score
        self._rng = np.random.default_rng(0)  # of the turns: a fixed order could keep step with the tracker's patience

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People whose box has its centre in `window` of the BGR image [H,W,3], best first."""
        height, width = image.shape[:2]
        best_first = self.boxes[np.argsort(-self.boxes[:, 4], kind="stable")]
        found = [Detection(self._roi(box, width, height), float(box[4])) for box in best_first if self._is_usable(box)]
        corner = np.array([window.left_px, window.top_px])
        return [d for d in found if (abs(d.roi.center_px - corner - window.size_px / 2) <= window.size_px / 2).all()]

    def _is_usable(self, box: Floats) -> bool:
        return bool(np.isfinite(box).all() and (box[2:4] > box[:2]).all() and box[4] >= self.min_score)

    def _roi(self, box: Floats, width: int, height: int) -> Roi:
        """The crop to look at: upright unless the box is that of somebody who may lie."""
        size = box[2:4] - box[:2]
        half = size[0] > _WIDE * size[1] or box[3] > height - _BORDER_PX
        turn = float(self._rng.choice(_TURNS)) if size[0] > _LYING * size[1] else 0.0
        return Roi((box[:2] + box[2:4]) / 2, float((_HALF if half and not turn else _FULL) * size.max()), turn)


class FedTracker:
    """A tracker whose proposals are the boxes of its frames."""

    def __init__(self, tracker: PersonTracker, finder: ExternalFinder) -> None:
        self._tracker, self._finder = tracker, finder

    def step(self, frame: Frame) -> list[Track]:
        """People seen in `frame`, most certain first."""
        self._take(frame)
        return self._tracker.step(frame)

    def search(self, frame: Frame, defer: bool) -> bool:
        """As `PersonTracker.search`, for people in the frame's boxes."""
        self._take(frame)
        return self._tracker.search(frame, defer)

    def adjust(self, config: TrackerConfig, search: DetectorConfig) -> None:
        """Take the settings that can change while it runs."""
        self._tracker.adjust(config, search)

    def reset(self) -> None:
        """Forget everybody."""
        self._tracker.reset()

    def restart(self) -> None:
        """Forget everybody, and begin with the first id."""
        self._tracker.restart()

    def hurry(self, late: bool) -> None:
        """As `PersonTracker.hurry`."""
        self._tracker.hurry(late)

    def _take(self, frame: Frame) -> None:
        self._finder.boxes = np.zeros((0, 5)) if frame.boxes is None else frame.boxes
