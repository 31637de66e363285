"""An end by Ctrl-C or SIGTERM that leaves rclpy's C++ alone."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

_POLL_S = 0.5  # a wait inside rclpy does not end on a signal by itself
_PATIENCE = 2  # signals


class Ending:
    """Ctrl-C and SIGTERM inside `with`. They raise KeyboardInterrupt, except while deferred: an exception that a
    handler raises below rclpy's C++ comes out as any other error, or not at all. The third signal always raises.

    What a raised signal became is an end and goes no further, and neither does ROS's own shutdown.
    """

    def __init__(self) -> None:
        self._signals = 0
        self._is_deferred = self._has_raised = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._signals > 0

    def __enter__(self) -> Ending:
        if threading.current_thread() is threading.main_thread():  # signals belong to the main thread
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as for jobs that a shell has in the background
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, ExternalShutdownException) or (self._has_raised and isinstance(error, KeyboardInterrupt)):
            return True
        if self._has_raised and isinstance(error, Exception):  # rclpy's name for the interruption, or a fault of ours
            print(f"hmr: ended by a signal ({type(error).__name__}: {error})", file=sys.stderr)
            return True
        return False

    @contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """Signals are only noted inside; gives what says whether one came."""
        before, self._is_deferred = self._is_deferred, True
        try:
            yield lambda: self.asked
        finally:
            self._is_deferred = before

    def spin(self, node: Node) -> None:
        """Serve the node's callbacks until a signal comes; a callback that has begun is finished."""
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        with self.deferred() as is_over:
            while not is_over() and node.context.ok():
                executor.spin_once(timeout_sec=_POLL_S)

    def _ask(self, _: int, __: FrameType | None) -> None:
        self._signals += 1
        if not self._is_deferred or self._signals > _PATIENCE:
            self._has_raised = True
            raise KeyboardInterrupt
