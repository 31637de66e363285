"""Counters of the live node, safe to write from one thread and read from another."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

_WINDOW = 300  # answers over which latency is summed up


class LiveStatistics:
    """What came, what was answered, how late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"received": 0, "published": 0, "dropped": 0, "failed": 0}
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._people = 0
        self._guessed = False

    def received(self, dropped: bool) -> None:
        """A picture came; `dropped`: it took the place of one that had not been looked at."""
        with self._lock:
            self._counts["received"] += 1
            self._counts["dropped"] += dropped

    def failed(self) -> None:
        """A picture could not be processed."""
        with self._lock:
            self._counts["failed"] += 1

    def published(self, latency_ns: int, people: int, guessed: bool, stage_seconds: dict[str, float]) -> None:
        """A picture was answered `latency_ns` after its stamp."""
        with self._lock:
            self._counts["published"] += 1
            self._latency_ms.append(latency_ns * 1e-6)
            self._people, self._guessed = people, guessed
            for stage, seconds in stage_seconds.items():
                self._stages.setdefault(stage, deque(maxlen=_WINDOW)).append(1e3 * seconds)

    def take(self) -> dict[str, str]:
        """Everything as text, for /diagnostics."""
        with self._lock:
            values = {name: str(count) for name, count in self._counts.items()}
            for q in (50, 95):
                if self._latency_ms:
                    values[f"latency_ms_p{q}"] = f"{np.percentile(self._latency_ms, q):.1f}"
                for stage, times in self._stages.items():
                    values[f"{stage}_ms_p{q}"] = f"{np.percentile(times, q):.1f}"
            values["people"] = str(self._people)
            values["camera_guessed"] = str(self._guessed).lower()
        return values


_MEMORY = 0.9  # of the running means
_MAX_PERIOD_S = 1.0  # a longer gap is a pause of the camera, not its rate


class Pace:
    """Running means of the pictures' period and of the deferrable work's duration."""

    def __init__(self) -> None:
        self._period_s: float | None = None
        self._work_s = 0.0
        self._last_stamp_ns: int | None = None

    def picture(self, stamp_ns: int) -> None:
        """A picture with this stamp is being answered."""
        if self._last_stamp_ns is not None:
            passed_s = (stamp_ns - self._last_stamp_ns) * 1e-9
            if 0 < passed_s < _MAX_PERIOD_S:
                self._period_s = passed_s if self._period_s is None else _mean(self._period_s, passed_s)
        self._last_stamp_ns = stamp_ns

    def worked(self, seconds: float) -> None:
        """The deferrable work took this long."""
        self._work_s = _mean(self._work_s, seconds)

    def is_short(self, latency_s: float) -> bool:
        """True when the work, begun `latency_s` after the picture's stamp, would make the next answer late."""
        return self._period_s is not None and latency_s + self._work_s > self._period_s


def _mean(old: float, new: float) -> float:
    return _MEMORY * old + (1 - _MEMORY) * new
