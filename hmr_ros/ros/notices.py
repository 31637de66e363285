"""Warnings of the node: the same one at most every ten seconds, or once and for all."""

from __future__ import annotations

import time
from collections.abc import Callable

_REPEAT_S = 10.0


class Notices:
    """rclpy throttles by line of code, which all warnings would share; this throttles by what is said."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._said: dict[str, float] = {}

    def warn(self, text: str) -> None:
        """Unless the same was said within ten seconds."""
        now = time.monotonic()
        if now - self._said.get(text, -_REPEAT_S) >= _REPEAT_S:
            self._said[text] = now
            self._warn(text)

    def once(self, key: str, text: str) -> None:
        """Unless something was said under this key before."""
        if key not in self._said:
            self._said[key] = time.monotonic()
            self._warn(text)
