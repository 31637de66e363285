"""Times of repeated calls: what `hmr bench` and its roofline measure with."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hmr_ros.types import Frame

_WARM_UP = 20  # more than a window of refinement
_PERIOD_NS = 33_333_333


@dataclass(frozen=True)
class Spent:
    """What repeated calls took."""

    seconds: list[float]  # each
    cores: float | None = None  # processor seconds a second, all threads; None where it was not measured


def times_at_30_hz(call: Callable[[Frame], object], frame: Frame, repeats: int) -> Spent:
    """The same image again and again with the numbers and stamps of a camera; `frame` is the one before."""
    frames = (
        replace(frame, index=frame.index + k, stamp_ns=frame.stamp_ns + k * _PERIOD_NS) for k in itertools.count(1)
    )
    return times(lambda: call(next(frames)), repeats)


def times(call: Callable[[], object], repeats: int) -> Spent:
    """`repeats` calls, after some that do not count."""
    for _ in range(_WARM_UP):
        call()
    spent = []
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return Spent(spent, (time.process_time() - busy) / (time.perf_counter() - began))


def row(stage: str, people: int, spent: Spent) -> dict[str, Any]:
    """One line of the table."""
    p50, p95, p99 = (round(float(ms), 2) for ms in 1e3 * np.percentile(spent.seconds, [50, 95, 99]))
    cores = None if spent.cores is None else round(spent.cores, 2)
    return {"stage": stage, "people": people, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "cores": cores}
