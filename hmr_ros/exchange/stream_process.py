"""The process that sends: `python -m hmr_ros.exchange.stream_process FD`, started by `stream.LiveStream`.

A process of its own, for in one with networks the interpreter is busy for milliseconds at a time.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.config_groups import StreamConfig
from hmr_ros.errors import HmrError
from hmr_ros.exchange.motion import BodyPose
from hmr_ros.exchange.resample import STEP_S, Resampler, Sample
from hmr_ros.exchange.sonic import SonicFrames, SonicSender
from hmr_ros.exchange.stream_records import Answer, Closing, Opened, Opening, StreamStatistics
from hmr_ros.exchange.vmc import VmcSender
from hmr_ros.types import Floats

LARGEST_BYTES = 1 << 16  # of a message but the first
_AHEAD_S = 0.004  # before a message is due it is made
_LATE_STEPS = 50  # behind time: the machine slept, and what was due is left out
_DRAIN_S = 2.0  # at most
_REMEMBERED = 30_000  # steps: ten minutes


class Sender(Protocol):
    """One stream."""

    def prepare(self, sample: Sample | None) -> list[bytes]:
        """What is to be sent for the sample of this moment; None: nobody is there."""
        ...

    def send(self, message: bytes) -> None:
        """At once, or not at all."""
        ...

    def close(self) -> None:
        """Leave the network."""
        ...


class Clockwork:
    """Every 20 ms: take what came, make a pose, send it."""

    def __init__(self, config: StreamConfig, senders: list[Sender], take: Callable[[], list[Answer]]) -> None:
        """`take` gives the answers that have come since it was asked last."""
        self._senders, self._take = senders, take
        self._resampler = Resampler(config.hold_s, config.blend_s)
        self._newest: Answer | None = None
        self._sent: deque[tuple[float, float, bool]] = deque(maxlen=_REMEMBERED)  # when, age, fresh
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._fresh = self._held = 0

    def step(self, due_s: float) -> bool:
        """The pose of `due_s` (time.monotonic()) is sent then; False where nothing newer than it is known."""
        _sleep_until(due_s - _AHEAD_S)
        answers = self._take()
        for answer in answers:
            self._newest = answer
            self._resampler.add(answer.track_id, answer.stamp_s, answer.came_s, answer.pose)
        sample = self._resampler.next(due_s)
        sent_s = due_s
        for sender in self._senders:  # the first one's message is ready in time, the others' follow
            messages = sender.prepare(sample)
            _sleep_until(due_s)
            for message in messages:
                sender.send(message)
            sent_s = time.monotonic() if sender is self._senders[0] else sent_s
        if sample is not None and self._newest is not None:
            self._count(sample, answers, self._newest, sent_s)
        return sample is not None and sample.fresh

    def finish(self) -> None:
        """Send what still waits for others, to go with them."""
        for sender in self._senders:
            for message in sender.prepare(None):
                sender.send(message)

    @property
    def statistics(self) -> StreamStatistics:
        """Of the last ten minutes; counts are of all time."""
        apart = np.diff([when for when, _, _ in self._sent])
        missed = np.abs(apart[apart < 2.5 * STEP_S] - STEP_S)  # longer ones are pauses in which nobody was there
        ages = [age for _, age, fresh in self._sent if fresh]
        return StreamStatistics(
            self._fresh, self._held, *_percentiles(missed, 95, 100), *_percentiles(list(self._latencies), 50, 95),
            *_percentiles(ages, 50, 95),
        )  # fmt: skip

    def _count(self, sample: Sample, answers: list[Answer], newest: Answer, now: float) -> None:
        self._latencies.extend(a.age_s + now - a.came_s for a in answers)
        self._sent.append((now, newest.stamp_s + newest.age_s + now - newest.came_s - sample.stamp_s, sample.fresh))
        if sample.fresh:
            self._fresh += 1
        else:
            self._held += 1


def main() -> None:
    """Stream from the opening to the closing message, or until the other process has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are the other process's to understand
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # run when it is time, whoever else wants the processor
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    link = socket.socket(fileno=int(sys.argv[1]))
    opening = received_opening(link)
    senders: list[Sender] = []
    warnings: list[str] = []
    try:
        _open(opening.config, opening.body, senders, warnings.append)
    except HmrError as error:
        link.send(pickle.dumps(Opened(error=str(error))))
    else:
        link.send(pickle.dumps(Opened(tuple(warnings))))
        _run(link, opening.config, opening.body, senders)
    finally:
        for sender in senders:
            sender.close()


def send_opening(link: socket.socket, opening: Opening) -> None:
    """In pieces, for a body is larger than a message may be."""
    content = pickle.dumps(opening)
    link.send(len(content).to_bytes(8, "little"))
    for start in range(0, len(content), LARGEST_BYTES):
        link.send(content[start : start + LARGEST_BYTES])


def received_opening(link: socket.socket) -> Opening:
    """What `send_opening` has sent."""
    left, pieces = int.from_bytes(link.recv(8), "little"), []
    while left > 0:
        pieces.append(link.recv(LARGEST_BYTES))
        if not pieces[-1]:
            raise SystemExit(1)  # the other process has ended
        left -= len(pieces[-1])
    opening: Opening = pickle.loads(b"".join(pieces))
    return opening


def _run(link: socket.socket, config: StreamConfig, body: BodyModel, senders: list[Sender]) -> None:
    link.setblocking(False)
    closing: list[Closing] = []
    _warm_up(body)
    clockwork = Clockwork(config, senders, lambda: _taken(link, closing))
    due, last, failed = time.monotonic() + STEP_S, float("inf"), False
    while due < last:
        moving = False
        try:
            moving = clockwork.step(due)
        except Exception as error:  # one pose that nobody expected must not end the stream
            if not failed:
                print(f"hmr: stream: poses are left out: {type(error).__name__}: {error}", file=sys.stderr)
            failed = True
        if closing and last == float("inf"):
            last = due + (_DRAIN_S if closing[0].drain else 0.0)
        if closing and not moving:
            break
        due += STEP_S
        if time.monotonic() - due > _LATE_STEPS * STEP_S:
            due = time.monotonic() + STEP_S
    clockwork.finish()
    with contextlib.suppress(OSError):
        link.send(pickle.dumps(clockwork.statistics))


def _taken(link: socket.socket, closing: list[Closing]) -> list[Answer]:
    """The answers that have come; `closing` gets the message that ends the stream."""
    answers: list[Answer] = []
    while not closing:
        try:
            content = link.recv(LARGEST_BYTES)
        except BlockingIOError:
            break
        except OSError:
            content = b""
        message: Any = pickle.loads(content) if content else Closing(drain=False)
        if isinstance(message, Closing):
            closing.append(message)
        else:
            answers.append(message)
    return answers


def _open(config: StreamConfig, body: BodyModel, senders: list[Sender], warn: Callable[[str], object]) -> None:
    if config.sonic:
        senders.append(SonicSender(config.sonic, SonicFrames(body, config.frames, config.skeleton), warn))
    if config.vmc:
        senders.append(VmcSender(config.vmc, body, warn))


def _warm_up(body: BodyModel) -> None:
    """The first message of a process takes milliseconds more."""
    resampler, frames = Resampler(1.0, 1.0), SonicFrames(body)
    rest = BodyPose(np.tile([1.0, 0.0, 0.0, 0.0], (24, 1)), np.zeros(3), np.zeros(body.shapedirs.shape[-1]))
    for k in range(3):
        resampler.add(0, 0.03 * k, 0.03 * k, rest)
        frames(resampler.next(0.03 * k + 0.01))


def _percentiles(values: Sequence[float] | Floats, *percent: float) -> list[float]:
    return [float(np.percentile(values, p)) if len(values) else float("nan") for p in percent]


def _sleep_until(when_s: float) -> None:
    left = when_s - time.monotonic()
    if left > 0:
        time.sleep(left)


if __name__ == "__main__":
    main()
