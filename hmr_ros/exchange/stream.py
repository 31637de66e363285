"""Live streams of one person at 50 Hz, beside whatever makes the answers: a thread with a clock of its own."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.config_groups import StreamConfig
from hmr_ros.exchange.chosen import ChosenPerson
from hmr_ros.exchange.motion import level_camera, pose_of
from hmr_ros.exchange.resample import STEP_S, Resampler, Sample
from hmr_ros.exchange.sonic import SonicFrames, SonicSender
from hmr_ros.exchange.vmc import VmcSender
from hmr_ros.types import Floats, Human

_AHEAD_S = 0.004  # before a message is due it is made
_INBOX = 64  # answers that nobody has taken yet; older ones are lost
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


@dataclass(frozen=True)
class StreamStatistics:
    """What was sent."""

    fresh: int  # poses
    held: int  # poses that were repeated
    spacing_p95_s: float  # by which the time between two of them missed 20 ms; NaN where fewer than two were sent
    spacing_max_s: float
    latency_p50_s: float  # from an image's stamp to the first pose that is sent with its answer known
    latency_p95_s: float
    age_p50_s: float  # of the moment that a fresh pose shows when it is sent: a frame more, for it is between two
    age_p95_s: float

    def __str__(self) -> str:
        if not self.fresh:
            return "nobody was seen: nothing was sent"
        return (
            f"{self.fresh} poses sent, {self.held} held; spacing 20 ms +- {1e3 * self.spacing_p95_s:.2f} ms (p95; max"
            f" {1e3 * self.spacing_max_s:.1f}); image to first pose {1e3 * self.latency_p50_s:.0f} ms (p95"
            f" {1e3 * self.latency_p95_s:.0f}), age of poses {1e3 * self.age_p50_s:.0f} ms (p95"
            f" {1e3 * self.age_p95_s:.0f})"
        )


class LiveStream:
    """From its making to `close`. What gives the answers never waits for it."""

    def __init__(
        self, config: StreamConfig, body: BodyModel, warn: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Open the streams of `config` (one at least); ConfigError where that cannot be. `body` is the answers' own,
        `clock` that of their stamps, s, for statistics alone."""
        self._senders = _senders(config, body, warn)
        self._choose = ChosenPerson(config.person, config.hold_s)
        self._resampler = Resampler(config.hold_s, config.blend_s)
        self._inbox: deque[tuple[int, Sequence[Human], float]] = deque(maxlen=_INBOX)
        self._stop, self._at_newest = threading.Event(), threading.Event()
        self._warn, self._clock = warn, clock
        self._failed = False
        self._sent: deque[tuple[float, float, bool]] = deque(maxlen=_REMEMBERED)  # when, age, fresh
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._fresh = self._held = 0
        self._thread = threading.Thread(target=self._run, name="hmr_stream", daemon=True)
        self._thread.start()

    def offer(self, stamp_ns: int, humans: Sequence[Human]) -> None:
        """The people of one frame, the newest so far, in camera axes. Costs nothing here."""
        self._at_newest.clear()
        self._inbox.append((stamp_ns, humans, time.monotonic()))

    def close(self, *, drain: bool = False) -> None:
        """End at once, or when the newest pose was sent (`drain`). A second time does nothing."""
        if self._stop.is_set():
            return
        if drain:
            self._at_newest.wait(_DRAIN_S)
        self._stop.set()
        self._thread.join(timeout=5.0)
        for sender in self._senders:
            sender.close()

    @property
    def statistics(self) -> StreamStatistics:
        """Of the last ten minutes; counts are of all time."""
        sent = list(self._sent)
        when = np.array([w for w, _, _ in sent])
        apart = np.diff(when)
        missed = np.abs(apart[apart < 2.5 * STEP_S] - STEP_S)  # longer ones are pauses in which nobody was there
        spacing = _percentiles(missed, 95, 100)
        latency, age = _percentiles(list(self._latencies), 50, 95), _percentiles([a for _, a, f in sent if f], 50, 95)
        return StreamStatistics(self._fresh, self._held, *spacing, *latency, *age)

    def _run(self) -> None:
        _be_punctual()
        due = time.monotonic() + STEP_S
        while not self._stop.is_set():
            try:
                self._step(due)
            except Exception as error:  # one pose that nobody expected must not end the stream
                self._fail(error)
            due += STEP_S
            if time.monotonic() - due > _LATE_STEPS * STEP_S:
                due = time.monotonic() + STEP_S
        for sender in self._senders:
            for message in sender.prepare(None):
                sender.send(message)

    def _step(self, due: float) -> None:
        _sleep_until(due - _AHEAD_S)
        taken = self._take()
        sample = self._resampler.next(due)
        messages = [(s, m) for s in self._senders for m in s.prepare(sample)]
        _sleep_until(due)
        for sender, message in messages:
            sender.send(message)
        if sample is not None:
            self._count(sample, taken)
        if not (self._inbox or (sample is not None and sample.fresh)):
            self._at_newest.set()

    def _fail(self, error: Exception) -> None:
        if not self._failed:
            self._warn(f"stream: poses are left out: {type(error).__name__}: {error}")
        self._failed = True

    def _take(self) -> list[float]:
        """Give the answers that came to the resampler; the stamps s of those with the chosen person."""
        stamps = []
        while self._inbox:
            stamp_ns, humans, came_s = self._inbox.popleft()
            human = self._choose(stamp_ns, humans)
            if human is not None:
                stamps.append(stamp_ns * 1e-9)
                self._resampler.add(human.track_id, stamps[-1], came_s, pose_of(human, level_camera(human)))
        return stamps

    def _count(self, sample: Sample, taken: list[float]) -> None:
        self._latencies.extend(self._clock() - stamp_s for stamp_s in taken)
        self._sent.append((time.monotonic(), self._clock() - sample.stamp_s, sample.fresh))
        if sample.fresh:
            self._fresh += 1
        else:
            self._held += 1


def is_wanted(config: StreamConfig) -> bool:
    """Whether there is anything to stream to."""
    return bool(config.sonic or config.vmc)


def _senders(config: StreamConfig, body: BodyModel, warn: Callable[[str], object]) -> list[Sender]:
    senders: list[Sender] = []
    try:
        if config.sonic:
            senders.append(SonicSender(config.sonic, SonicFrames(body, config.frames, config.skeleton), warn))
        if config.vmc:
            senders.append(VmcSender(config.vmc, body, warn))
    except BaseException:
        for sender in senders:
            sender.close()
        raise
    return senders


def _percentiles(values: Sequence[float] | Floats, *percent: float) -> list[float]:
    return [float(np.percentile(values, p)) if len(values) else float("nan") for p in percent]


def _be_punctual() -> None:
    """Let this thread run when it is due, whoever else wants the processor; only where the system allows it."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(1))


def _sleep_until(when_s: float) -> None:
    left = when_s - time.monotonic()
    if left > 0:
        time.sleep(left)
