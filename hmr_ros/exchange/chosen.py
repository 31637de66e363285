"""Which of the people in view a live stream is about: one, until that one has been out of sight for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hmr_ros.types import Human, TrackingState

_HIGHEST: dict[str, Callable[[Human], float]] = {
    "nearest": lambda h: -float(np.linalg.norm(h.joints[0])),
    "largest": lambda h: float((h.boxes_xyxy[2] - h.boxes_xyxy[0]) * (h.boxes_xyxy[3] - h.boxes_xyxy[1])),
    "first": lambda h: -float(h.track_id),
}


class ChosenPerson:
    """Chooses by `criterion` (`config_groups.PERSONS`), and again when the chosen one is away for `patience_s`."""

    def __init__(self, criterion: str, patience_s: float) -> None:
        self._worth, self._patience_ns = _HIGHEST[criterion], round(patience_s * 1e9)
        self._id: int | None = None
        self._seen_ns = 0

    def __call__(self, stamp_ns: int, humans: Sequence[Human]) -> Human | None:
        """The chosen person among those of one frame; None where that one is not seen."""
        seen = [h for h in humans if h.state != TrackingState.SEARCHING]
        human = next((h for h in seen if h.track_id == self._id), None)
        away_ns = stamp_ns - self._seen_ns
        if human is None and seen and (self._id is None or not 0 <= away_ns <= self._patience_ns):
            human = max(seen, key=self._worth)
        if human is not None:
            self._id, self._seen_ns = human.track_id, stamp_ns
        return human
