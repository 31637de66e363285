"""Whether there is time left before the next picture for work that can wait."""

from __future__ import annotations

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
