"""Stamps of images that cannot be right: zero, or jumping."""

from __future__ import annotations

from typing import Any

from hmr_ros.io.encodings import stamp_ns

_JUMP_NS = 10 * 10**9  # forward; a pause of the camera is shorter


class StampCheck:
    """Looks at the header of every image as it comes."""

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def __call__(self, header: Any, now: Any) -> str:
        """What is odd about the stamp, empty: nothing. Zero is replaced by `now` (builtin_interfaces/Time)."""
        stamp = stamp_ns(header.stamp)
        if stamp == 0:
            header.stamp = now
            return "images have stamps of zero: the time at which they came is used"
        last, self._last_ns = self._last_ns, stamp
        if last is not None and stamp < last:
            return "stamps of images jump back: everybody is found anew; is a recording played in a loop?"
        if last is not None and stamp - last > _JUMP_NS:
            return "stamps of images jump forward by more than ten seconds"
        return ""
