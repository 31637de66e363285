"""The detector looks at an image in a thread of its own, while the answer to it is worked out beside."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from hmr_ros.perception.detector import Finder, Window
from hmr_ros.types import Detection, Frame, Image

Seen = list[tuple[Window, list[Detection]]]


@dataclass(frozen=True)
class _Look:
    stamp_ns: int
    seen: Future[Seen]


class LookAhead:
    """One look at a time. Whoever begins one takes it, or waits until it has ended, before the finder is used again.

    The thread ends with this object; an error in it comes out where the look is taken, and nowhere if it never is.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._pool = ThreadPoolExecutor(1, "hmr_search")  # starts no thread before the first look
        self._look: _Look | None = None

    def begin(self, frame: Frame, windows: list[Window]) -> None:
        """Look for people in these windows of a frame."""
        self.wait()
        if windows:
            seen = self._pool.submit(self._seen, frame.image, windows)
        else:
            seen = Future()
            seen.set_result([])
        self._look = _Look(frame.stamp_ns, seen)

    def take(self, frame: Frame) -> Seen | None:
        """What was seen in each window, in their order; None where no look at this frame was begun."""
        look, self._look = self._look, None
        if look is None:
            return None
        seen = look.seen.result()
        return seen if look.stamp_ns == frame.stamp_ns else None

    def wait(self) -> None:
        """Until the last look has ended; what it saw is forgotten."""
        look, self._look = self._look, None
        if look is not None:
            wait([look.seen])

    def _seen(self, image: Image, windows: list[Window]) -> Seen:
        return [(window, self._finder(image, window)) for window in windows]
