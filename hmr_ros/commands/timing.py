"""Times of calls: what `hmr bench` measures with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hmr_ros.stages.recover import Recovery
from hmr_ros.types import Frame, Track

_WARM_UP = 20  # more than a window of refinement
_PERIOD_NS = 33_333_333


def recovery_stages(recovery: Recovery, frame: Frame, tracks: list[Track], repeats: int) -> dict[str, list[float]]:
    """Seconds of each part of the recovery over frames at 30 Hz, windows of refinement full, and of all together."""
    spent: dict[str, list[float]] = {}
    for k in range(_WARM_UP + repeats):
        start = time.perf_counter()
        recovery(replace(frame, index=k, stamp_ns=k * _PERIOD_NS), tracks)
        whole = time.perf_counter() - start
        parts: dict[str, float] = getattr(recovery, "stage_seconds", {})
        if k >= _WARM_UP:
            for name, seconds in (parts | {"recover, all": whole}).items():
                spent.setdefault(name, []).append(seconds)
    return spent


def times(call: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each of `repeats` calls, after some that do not count."""
    for _ in range(_WARM_UP):
        call()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return spent


def row(stage: str, people: int, seconds: list[float]) -> dict[str, Any]:
    """One line of the table."""
    p50, p95, p99 = (round(float(ms), 2) for ms in 1e3 * np.percentile(seconds, [50, 95, 99]))
    return {"stage": stage, "people": people, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}
