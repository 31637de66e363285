"""Messages of several cameras that belong to one moment: by stamp, in order, and waiting for nobody for long."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
_SILENT_S = 1.0  # a camera that said nothing for so long is not waited for
_REMEMBERED = 8  # messages of a camera that may be repeated
_MOST_OPEN = 64  # moments that wait; more come only from stamps that make no sense
_JUMP_NS = 10**9  # back, beyond what may still belong to one moment: a recording that began anew


@dataclass(frozen=True)
class Moment(Generic[T]):
    """What the cameras said about one moment."""

    stamp_ns: int  # the newest of the stamps that came together
    said: dict[str, tuple[int, T]]  # camera -> stamp ns, content; a camera that is missing may repeat its last word


@dataclass
class _Open(Generic[T]):
    stamp_ns: int  # of the first that came
    came_s: float
    said: dict[str, tuple[int, T]] = field(default_factory=dict)


class StampMatcher(Generic[T]):
    """Takes messages as they come, gives moments by rising stamp.

    A moment is answered when every camera that can still belong to it is there, at the latest `wait_s` after its first
    message. Cameras of different rates repeat what they said last, where that is no older than the tolerance.
    """

    def __init__(self, cameras: Sequence[str], tolerance_s: float, wait_s: float) -> None:
        self._cameras, self._tolerance_ns, self._wait_s = list(cameras), round(tolerance_s * 1e9), wait_s
        self._jump_ns = self._tolerance_ns + round(wait_s * 1e9) + _JUMP_NS
        self.late = dict.fromkeys(self._cameras, 0)  # messages that came when their moment had been answered
        self.alone = dict.fromkeys(self._cameras, 0)  # messages to whose moment no other camera said anything
        self.reset()

    def reset(self) -> None:
        """Forget what waits; counts stay."""
        self._open: list[_Open[T]] = []
        # what each camera said last, answered or not, by rising stamp
        self._last: dict[str, deque[tuple[int, T]]] = {c: deque(maxlen=_REMEMBERED) for c in self._cameras}
        self._came_s: dict[str, float] = {}
        self._answered_ns: int | None = None

    def add(self, camera: str, stamp_ns: int, content: T, now_s: float) -> None:
        """A message; `now_s` is a steady clock's."""
        last = self._last[camera]
        if last and stamp_ns < last[-1][0] - self._jump_ns:
            self.reset()
            last = self._last[camera]
        self._came_s[camera] = now_s
        if not last or stamp_ns > last[-1][0]:
            last.append((stamp_ns, content))
        near = [m for m in self._open if camera not in m.said and abs(m.stamp_ns - stamp_ns) <= self._tolerance_ns]
        moment = min(near, key=lambda m: abs(m.stamp_ns - stamp_ns), default=None)
        if moment is None:
            if self._answered_ns is not None and stamp_ns <= self._answered_ns:
                self.late[camera] += 1  # its moment is over, and a new one would go back in time
                return
            moment = _Open(stamp_ns, now_s)
            self._open = sorted([*self._open, moment], key=lambda m: m.stamp_ns)[-_MOST_OPEN:]
        moment.said[camera] = stamp_ns, content

    @property
    def waiting(self) -> bool:
        """Whether a moment is open."""
        return bool(self._open)

    def ready(self, now_s: float) -> list[Moment[T]]:
        """The moments that are to be answered now, in order; each is given once."""
        done = []
        while self._open and self._is_due(self._open[0], now_s):
            moment = self._closed(self._open.pop(0))
            if self._answered_ns is None or moment.stamp_ns > self._answered_ns:
                self._answered_ns = moment.stamp_ns
                done.append(moment)
        return done

    def _is_due(self, moment: _Open[T], now_s: float) -> bool:
        if now_s >= moment.came_s + self._wait_s:
            return True
        return not any(self._may_come(c, moment, now_s) for c in self._cameras if c not in moment.said)

    def _may_come(self, camera: str, moment: _Open[T], now_s: float) -> bool:
        """Whether a message of this camera for this moment is on its way; those of a camera come in order."""
        came_s = self._came_s.get(camera)
        if came_s is None or now_s - came_s > _SILENT_S:
            return False
        last = self._last[camera]
        return not last or last[-1][0] < moment.stamp_ns + self._tolerance_ns

    def _closed(self, moment: _Open[T]) -> Moment[T]:
        stamp = max(stamp for stamp, _ in moment.said.values())
        if len(moment.said) == 1:
            self.alone[next(iter(moment.said))] += 1
        said = {}
        for camera in self._cameras:
            earlier = [m for m in self._last[camera] if 0 <= stamp - m[0] <= self._tolerance_ns]
            if camera in moment.said:
                said[camera] = moment.said[camera]
            elif earlier:
                said[camera] = earlier[-1]
        return Moment(stamp, said)
