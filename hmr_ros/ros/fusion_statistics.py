"""Counters of the node `fusion` and what /diagnostics says of them: per camera, and of the answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

_WINDOW = 300  # answers over which latency is summed up
_SILENT_S = 2.0
_JUDGED = 45  # moments in which several cameras saw somebody, of which some must be the same person
_RATE_S = 0.95  # as in statistics.py


@dataclass
class _Camera:
    received: int = 0
    last_s: float | None = None
    last_stamp_ns: int | None = None
    people: int = 0  # in the last message
    unmatched: int = 0  # people whom no other camera saw in a moment in which another saw somebody
    problem: tuple[float, str] = (-1e9, "")  # when it was last true


@dataclass
class FusionStatistics:
    """What came of whom, and what was answered."""

    cameras: dict[str, str]  # name -> topic
    clock: Callable[[], float] = time.monotonic
    _each: dict[str, _Camera] = field(init=False)

    def __post_init__(self) -> None:
        self._each = {name: _Camera() for name in self.cameras}
        self._answers = 0
        self._people = 0
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._agreed: deque[bool] = deque(maxlen=_JUDGED)
        self._since_s, self._begin_s = self.clock(), self.clock()
        self._before = self._counts()
        self._rates = dict.fromkeys(self._before, 0.0)

    def received(self, camera: str, stamp_ns: int, people: int) -> None:
        """A message came."""
        c = self._each[camera]
        c.received, c.last_s, c.last_stamp_ns, c.people = c.received + 1, self.clock(), stamp_ns, people

    def problem(self, camera: str, text: str) -> None:
        """Why a camera is left out, at present."""
        self._each[camera].problem = self.clock(), text

    def answered(self, latency_ns: int, cameras: Sequence[Sequence[str]]) -> None:
        """A moment was answered `latency_ns` after its stamp; `cameras` are those that saw each person."""
        self._answers, self._people = self._answers + 1, len(cameras)
        self._latency_ms.append(latency_ns * 1e-6)
        alone = [seen[0] for seen in cameras if len(seen) == 1]
        if len({c for seen in cameras for c in seen}) > 1:
            self._agreed.append(len(alone) < len(cameras))
            for camera in alone:
                self._each[camera].unmatched += 1

    def silent(self) -> list[str]:
        """Cameras of which nothing has come for two seconds."""
        now = self.clock()
        return [n for n, c in self._each.items() if now - (c.last_s or self._begin_s) >= _SILENT_S]

    def verdict(self, reasons: Mapping[str, str]) -> tuple[bytes, str]:
        """Level and message of DiagnosticStatus; `reasons` say why cameras are silent."""
        silent = [f"nothing from {n} on {self.cameras[n]}: {reasons.get(n, '')}" for n in self.silent()]
        now = self.clock()
        problems = [f"{n} is left out: {c.problem[1]}" for n, c in self._each.items() if now - c.problem[0] < _SILENT_S]
        if len(silent) == len(self._each):
            return DiagnosticStatus.STALE, "; ".join(silent)
        if problems:
            return DiagnosticStatus.ERROR, "; ".join([*problems, *silent])
        if len(self._agreed) == _JUDGED and not any(self._agreed):
            silent.append(
                "cameras see people at the same moments and agree about nobody: check R and t (x_camera ="
                " R x_common + t, metres) or /tf, and that their clocks are one"
            )
        return (DiagnosticStatus.WARN, "; ".join(silent)) if silent else (DiagnosticStatus.OK, "running")

    def values(self, now_ns: int, late: Mapping[str, int], alone: Mapping[str, int]) -> dict[str, str]:
        """Everything worth reading; `now_ns` of the stamps' clock, `late` and `alone` as in StampMatcher."""
        self._measure()
        values = {"answers": str(self._answers), "answers_hz": f"{self._rates['']:.1f}", "people": str(self._people)}
        if self._latency_ms:
            p50, p95 = np.percentile(self._latency_ms, (50, 95))
            values |= {"latency_ms_p50": f"{p50:.1f}", "latency_ms_p95": f"{p95:.1f}"}
        for name, c in self._each.items():
            age = "" if c.last_stamp_ns is None else f"{(now_ns - c.last_stamp_ns) * 1e-6:.0f}"
            values |= {
                f"{name}: received": str(c.received), f"{name}: received_hz": f"{self._rates[name]:.1f}",
                f"{name}: last_stamp_age_ms": age, f"{name}: people": str(c.people),
                f"{name}: people_unmatched": str(c.unmatched), f"{name}: messages_late": str(late.get(name, 0)),
                f"{name}: messages_unmatched": str(alone.get(name, 0)),
            }  # fmt: skip
        return values

    def _counts(self) -> dict[str, int]:
        return {"": self._answers} | {n: c.received for n, c in self._each.items()}

    def _measure(self) -> None:
        now, counts = self.clock(), self._counts()
        if now - self._since_s >= _RATE_S:
            self._rates = {n: (counts[n] - self._before[n]) / (now - self._since_s) for n in counts}
            self._since_s, self._before = now, counts
