"""A place for one thing that one thread hands to another."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds one item, never a queue: whoever is late is late by one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def offer(self, item: T) -> bool:
        """Put `item` in, in place of what still waits there; returns whether something did."""
        with self._changed:
            replaced, self._item = self._item is not None, item
            self._changed.notify_all()
        return replaced

    def put(self, item: T) -> None:
        """Put `item` in as soon as the place is free; after `close` it is lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            self._item = item
            self._changed.notify_all()

    def take(self) -> T | None:
        """Wait for an item; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            if self._closed:
                return None
            item, self._item = self._item, None
            self._changed.notify_all()
        return item

    def is_full(self) -> bool:
        """Whether an item waits."""
        with self._changed:
            return self._item is not None

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
