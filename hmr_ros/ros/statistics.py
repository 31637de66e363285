"""Counters of the live node, safe to write from one thread and read from another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_WINDOW = 300  # answers over which latency is summed up
_RATE_S = 0.95  # rates are taken over at least this long, so that a short period does not make them jump


@dataclass(frozen=True)
class Period:
    """What happened since the last report, or during about the last second where reports come faster."""

    seconds: float
    received: int  # images that came
    published: int  # images whose people were published
    dropped: int  # images replaced by a newer one before they were looked at
    failed: int  # images that could not be processed
    silent_s: float | None  # since the last image; None: none ever came
    failure: str  # why the last image failed that did
    camera_problem: str  # why the intrinsics had to be guessed for the last answer; empty: they are calibrated
    values: dict[str, str]  # everything worth reading, totals included
    without_depth: int = 0  # images to which no depth belonged, where depth was asked for
    notes: tuple[str, ...] = ()  # what else was odd, with what to do about it


class LiveStatistics:
    """What came, what was answered, how late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._lock = threading.Lock()
        self._clock = clock
        self._counts = {
            "received": 0,
            "published": 0,
            "dropped": 0,
            "failed": 0,
            "without_depth": 0,
            "without_boxes": 0,
        }
        self._earlier = deque([(clock(), dict(self._counts))])  # counts at the last reports
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._people = 0
        self._last_image: float | None = None
        self._failure = self._camera_problem = ""
        self.hurried = False  # far people are followed in every other image
        self._notes: dict[str, float] = {}  # text -> when it was last true

    def restart(self) -> None:
        """The node was activated: silence is counted from here on, totals stay."""
        with self._lock:
            self._last_image = None

    def received(self, dropped: bool) -> None:
        """An image came; `dropped`: it took the place of one that had not been looked at."""
        with self._lock:
            self._counts["received"] += 1
            self._counts["dropped"] += dropped
            self._last_image = self._clock()

    def failed(self, reason: str) -> None:
        """An image could not be processed."""
        with self._lock:
            self._counts["failed"] += 1
            self._failure = reason

    def without_depth(self) -> None:
        """An image is answered without the depth that was asked for."""
        with self._lock:
            self._counts["without_depth"] += 1

    def without_boxes(self) -> None:
        """An image is searched without boxes, where another detector was asked for them."""
        with self._lock:
            self._counts["without_boxes"] += 1

    def note(self, text: str) -> None:
        """Something is odd that does not keep images from being answered."""
        with self._lock:
            self._notes[text] = self._clock()

    def published(self, latency_ns: int, people: int, camera_problem: str, stage_seconds: dict[str, float]) -> None:
        """An image was answered `latency_ns` after its stamp; `camera_problem` as in `Period`."""
        with self._lock:
            self._counts["published"] += 1
            self._latency_ms.append(latency_ns * 1e-6)
            self._people, self._camera_problem = people, camera_problem
            for stage, seconds in stage_seconds.items():
                self._stages.setdefault(stage, deque(maxlen=_WINDOW)).append(1e3 * seconds)

    def take(self) -> Period:
        """The period that ends now; the next one begins here."""
        with self._lock:
            now = self._clock()
            while len(self._earlier) > 1 and now - self._earlier[1][0] >= _RATE_S:
                self._earlier.popleft()
            since, before = self._earlier[0]
            self._earlier.append((now, dict(self._counts)))
            seconds = max(now - since, 1e-9)
            new = {name: count - before[name] for name, count in self._counts.items()}
            return Period(
                seconds, new["received"], new["published"], new["dropped"], new["failed"],
                None if self._last_image is None else now - self._last_image,
                self._failure, self._camera_problem, self._values(new, seconds), new["without_depth"],
                tuple(text for text, at in self._notes.items() if at >= since),
            )  # fmt: skip

    def _values(self, new: dict[str, int], seconds: float) -> dict[str, str]:
        values = {name: str(count) for name, count in self._counts.items()}
        values |= {f"{name}_hz": f"{count / seconds:.1f}" for name, count in new.items()}
        for name, times in {"latency": self._latency_ms, **self._stages}.items():
            if times:
                p50, p95 = np.percentile(times, (50, 95))
                values |= {f"{name}_ms_p50": f"{p50:.1f}", f"{name}_ms_p95": f"{p95:.1f}"}
        values["people"] = str(self._people)
        values["hurried"] = str(self.hurried).lower()
        values["camera_guessed"] = str(bool(self._camera_problem)).lower()
        return values


_MEMORY = 0.9  # of the running means
_ROOM = 0.6  # of a period: eight people of whom five rest in every other frame take 0.8 of the time of all
_MAX_PERIOD_S = 1.0  # a longer gap is a pause of the camera, not its rate


class Pace:
    """Running means of the images' period, of the time that answers take, and of the deferrable work's duration."""

    def __init__(self) -> None:
        self.late = False  # answers take longer than images come
        self._answer_s = 0.0
        self._period_s: float | None = None
        self._work_s = 0.0
        self._last_stamp_ns: int | None = None

    def image(self, stamp_ns: int) -> None:
        """An image with this stamp is being answered."""
        if self._last_stamp_ns is not None:
            passed_s = (stamp_ns - self._last_stamp_ns) * 1e-9
            if 0 < passed_s < _MAX_PERIOD_S:
                self._period_s = passed_s if self._period_s is None else _mean(self._period_s, passed_s)
        self._last_stamp_ns = stamp_ns

    def answered(self, seconds: float, period_s: float) -> None:
        """An answer took this long, of the camera's period.

        Being late ends when there is room for what is then done again.
        """
        self._answer_s = _mean(self._answer_s, seconds)
        self.late = self._answer_s > period_s * (_ROOM if self.late else 1.0)

    def worked(self, seconds: float) -> None:
        """The deferrable work took this long."""
        self._work_s = _mean(self._work_s, seconds)

    def is_short(self, latency_s: float) -> bool:
        """True when the work, begun `latency_s` after the image's stamp, would make the next answer late."""
        return self._period_s is not None and latency_s + self._work_s > self._period_s


def _mean(old: float, new: float) -> float:
    return _MEMORY * old + (1 - _MEMORY) * new
