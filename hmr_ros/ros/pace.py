"""Whether there is time left before the next picture for work that can wait."""

from __future__ import annotations

from math import inf

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

    def left_s(self, latency_s: float) -> float:
        """How long the deferrable work may wait, `latency_s` after the picture's stamp, and not make the next answer
        late; below 0 it would. Infinite while the period is not known."""
        return inf if self._period_s is None else self._period_s - latency_s - self._work_s


def _mean(old: float, new: float) -> float:
    return _MEMORY * old + (1 - _MEMORY) * new
