"""Live streams of one person at 50 Hz, beside whatever makes the answers: a process with a clock of its own sends."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hmr_ros.body.model import BodyModel
from hmr_ros.config_groups import StreamConfig
from hmr_ros.errors import ConfigError
from hmr_ros.exchange.chosen import ChosenPerson
from hmr_ros.exchange.motion import camera_axes, pose_of
from hmr_ros.exchange.sonic import check_sonic
from hmr_ros.exchange.stream_process import LARGEST_BYTES, send_opening
from hmr_ros.exchange.stream_records import Answer, Closing, Opened, Opening, StreamStatistics
from hmr_ros.exchange.vmc import check_vmc
from hmr_ros.geometry.turn import Turn
from hmr_ros.types import Human

_START_S, _END_S = 60.0, 10.0  # at most
_NOTHING = StreamStatistics(0, 0, *[float("nan")] * 6)


class LiveStream:
    """From its making to `close`. What gives the answers never waits for it."""

    def __init__(
        self, config: StreamConfig, body: BodyModel, warn: Callable[[str], object],
        *, clock: Callable[[], float] = time.time, rotate: int = 0,
    ) -> None:  # fmt: skip
        """Open the streams of `config` (one at least); ConfigError where that cannot be. `body` is the answers' own,
        `clock` that of their stamps, s, for statistics alone; `rotate` as in `input.rotate`."""
        self._upright = Turn(rotate).matrix
        if config.sonic:
            check_sonic(config.sonic)
        if config.vmc:
            check_vmc(config.vmc)
        self._choose, self._clock = ChosenPerson(config.person, config.hold_s), clock
        self._warn, self._ended, self._closed = warn, False, False
        self.statistics = _NOTHING  # known when it is closed
        self._link, self._process = _started()
        try:
            send_opening(self._link, Opening(config, replace(body, posedirs=None)))
            opened: Opened = pickle.loads(self._link.recv(LARGEST_BYTES))
        except (OSError, EOFError) as error:
            self._end()
            raise ConfigError(f"stream: its process does not start: {error}; is there memory left?") from error
        if opened.error:
            self._end()
            raise ConfigError(opened.error)
        for warning in opened.warnings:
            warn(warning)
        self._link.setblocking(False)

    def offer(self, stamp_ns: int, humans: Sequence[Human]) -> None:
        """The people of one frame, the newest so far, in camera axes."""
        human = self._choose(stamp_ns, humans)
        if human is not None:
            pose, age_s = pose_of(human, camera_axes(human, self._upright)), self._clock() - stamp_ns * 1e-9
            self._send(Answer(human.track_id, pose, stamp_ns * 1e-9, time.monotonic(), age_s))

    def close(self, *, drain: bool = False) -> None:
        """End at once, or when the newest pose was sent (`drain`). A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._send(Closing(drain))
        self._link.settimeout(_END_S)
        with contextlib.suppress(OSError, EOFError):
            self.statistics = pickle.loads(self._link.recv(LARGEST_BYTES))
        self._end()

    def _send(self, message: Any) -> None:
        """Unless the other process does not take it: then it is lost, and the next one may come through."""
        try:
            self._link.send(pickle.dumps(message))
        except BlockingIOError:
            return
        except OSError:
            if not self._ended and not self._closed:
                self._warn("stream: its process has ended; nothing is sent until the stream is started again")
            self._ended = True

    def _end(self) -> None:
        self._link.close()  # which ends the other process, whatever it does
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def is_wanted(config: StreamConfig) -> bool:
    """Whether there is anything to stream to."""
    return bool(config.sonic or config.vmc)


def _started() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The process that sends, and the way to it: whole messages, none of which is ever waited for."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_START_S)
    with theirs:
        command = [sys.executable, "-m", "hmr_ros.exchange.stream_process", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # it finds what we found
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL)
    return ours, process
