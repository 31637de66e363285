"""One row a track: how long somebody was there, and how well seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hmr_ros.types import Human

COLUMNS = ("track_id", "first_frame", "last_frame", "frames", "score", "distance_m", "joint_sigma_m", "scale_source")


class TrackTable:
    """Sums over the people of one run; its size grows with people, not with frames."""

    def __init__(self) -> None:
        self.frames = 0  # of the input
        self._sums: dict[int, dict[str, Any]] = {}

    def add(self, humans: Iterable[Human]) -> None:
        """People of any frames, each once."""
        for human in humans:
            row = self._sums.setdefault(
                human.track_id,
                {"first": human.frame, "last": human.frame, "count": 0, "score": 0.0, "distance": 0.0, "sigma": 0.0},
            )
            row["first"], row["last"] = min(row["first"], human.frame), max(row["last"], human.frame)
            row["count"] += 1
            row["score"] += float(human.score)
            row["distance"] += float(np.linalg.norm(human.joints[0]))
            row["sigma"] += float(np.mean(human.joint_sigma))
            row["scale"] = human.scale.name.lower()

    def rows(self) -> list[dict[str, Any]]:
        """`COLUMNS` of every track: means over its frames."""
        found = []
        for track_id, row in sorted(self._sums.items()):
            means = (row[name] / row["count"] for name in ("score", "distance", "sigma"))
            values = (track_id, row["first"], row["last"], row["count"], *(round(m, 4) for m in means), row["scale"])
            found.append(dict(zip(COLUMNS, values, strict=True)))
        return found
