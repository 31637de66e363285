"""How long a call takes at its shortest: what else the machine does only makes it longer."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def shortest_s(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of the shortest of some runs."""
    found = []
    for _ in range(times):
        start = perf_counter()
        call()
        found.append(perf_counter() - start)
    return min(found)
