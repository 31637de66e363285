"""Stages of a flow that overlap: each works in a thread of its own, a few items ahead of the next, in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_AHEAD = 2  # items that a stage may have ready before the next one asks for them: more cost memory, not time


class Line:
    """Stages in a row, each an iterator over what the one before gives; the last is iterated by the caller.

    An error in a stage comes out where the item would have come, after all items before it. `stop` lets the source give
    nothing more, and what is under way comes out: so nothing is lost, and nothing is broken off in the middle, for
    Ctrl-C reaches the caller's thread alone. `close` ends all stages at their next item.
    """

    def __init__(self, *, overlap: bool) -> None:
        """Without `overlap` the stages take turns in one thread, with the same results."""
        self._overlap = overlap
        self._stages: list[_Stage[Any]] = []
        self._stopped = threading.Event()
        self.closed = False  # no stage works any more

    def first(self, name: str, source: Iterable[T]) -> Iterator[T]:
        """The stage that gives items from outside, as long as the line is not stopped."""
        return self.then(name, self._until_stopped(source))

    def then(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Another stage: `items` is a generator over the stage before."""
        stage = _Stage(name, iter(items), _AHEAD if self._overlap else 0)
        self._stages.append(stage)
        return stage

    def last(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The stage whose items the caller takes; always in a thread, which Ctrl-C does not reach."""
        stage = _Stage(name, iter(items), _AHEAD)
        self._stages.append(stage)
        return stage

    def stop(self) -> None:
        """The source gives nothing more."""
        self._stopped.set()

    def close(self) -> None:
        """End every stage, whatever is under way, and wait until none of them works any more."""
        self.stop()
        for stage in self._stages:
            stage.close()
        for stage in self._stages:
            stage.join()
        self.closed = True

    def busy_s(self) -> dict[str, float]:
        """Seconds that each stage has worked, without those in which it waited for the one before or the one after."""
        before = [0.0, *(stage.asked_s for stage in self._stages)]
        return {s.name: max(s.inside_s - asked, 0.0) for s, asked in zip(self._stages, before, strict=False)}

    def slowest(self) -> tuple[str, float]:
        """The stage that the others wait for, and the share of the time that it works."""
        busy = self.busy_s()
        name = max(busy, key=lambda k: busy[k])
        return name, busy[name] / max(time.perf_counter() - self._stages[0].started, 1e-9)

    def _until_stopped(self, source: Iterable[T]) -> Iterator[T]:
        for item in source:
            yield item
            if self._stopped.is_set():
                return


class _Stage(Iterator[T], Generic[T]):
    """An iterator that is computed `ahead` items before they are asked for, in a thread; 0: when they are."""

    def __init__(self, name: str, items: Iterator[T], ahead: int) -> None:
        self.name, self._items, self._ahead = name, items, ahead
        self.started = time.perf_counter()
        self.inside_s = self.asked_s = 0.0  # spent computing items, and by the next stage in asking for them
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ended: BaseException | None = None  # StopIteration, or what went wrong
        self._thread: threading.Thread | None = None
        if ahead:
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            return self._taken() if self._thread else self._computed()
        finally:
            self.asked_s += time.perf_counter() - start

    def close(self) -> None:
        """Let the thread end after the item that it computes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread:
            self._thread.join()

    def _computed(self) -> T:
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.inside_s += time.perf_counter() - start

    def _taken(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended or self._closed)
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
            raise self._ended or StopIteration

    def _work(self) -> None:
        ended: BaseException = StopIteration()
        try:
            while self._has_room():
                item = self._computed()
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
                del item  # a frame that waits for nobody
        except BaseException as error:
            ended = error
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait for it; False where nobody wants another item."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._ahead or self._closed)
            return not self._closed
