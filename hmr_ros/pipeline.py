"""The main flow, read first: a frame goes in, the people in it come out as SMPL parameters."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from hmr_ros.body.model import BodyModel
from hmr_ros.methods.kinematic import Recovery
from hmr_ros.types import Frame, Human, Track


class Tracker(Protocol):
    """Finds and follows people; the only stage with memory besides refinement."""

    def step(self, frame: Frame) -> list[Track]:
        """People seen in this frame."""
        ...

    def search(self, frame: Frame, hurry: bool) -> bool:
        """Look for newcomers after the frame was answered; False if it was put off."""
        ...

    def reset(self) -> None:
        """Forget everybody."""
        ...


class Pipeline:
    """picture -> tracks (detector, landmarks, identities) -> SMPL parameters.

    Frames are given in the order of their stamps. Not safe to call from several threads at once.
    """

    def __init__(self, body: BodyModel, tracker: Tracker, recovery: Recovery, lag: int = 0) -> None:
        """`lag`: so many frames later `recovery` answers."""
        self.body = body
        self.answered: Frame | None = None  # the frame that the last answer is about
        self._lag = lag
        self._waiting: deque[Frame] = deque()
        self.stage_seconds: dict[str, float] = {}  # cost of each stage in the last frame
        self.tracker = tracker
        self.recovery = recovery

    def step(self, frame: Frame) -> list[Human]:
        """People in `frame`, the most certain first; with a lag those in `answered`, which is older."""
        start = time.perf_counter()
        self.answered = None
        tracks = self.tracker.step(frame)
        tracked = time.perf_counter()
        try:
            humans = self.recovery(frame, tracks)
        except BaseException:  # Ctrl-C as well
            if self._lag:  # nobody knows any more which frame the next answer is about
                self.recovery.reset()
                self._waiting.clear()
            raise
        self.stage_seconds = {"track": tracked - start, "recover": time.perf_counter() - tracked}
        self._waiting.append(frame)
        self.answered = self._waiting.popleft() if len(self._waiting) > self._lag else None
        return humans

    def finish(self) -> Iterator[tuple[Frame, list[Human]]]:
        """At the end: the frames that still wait for an answer; empty ones after them push them out."""
        waiting = list(self._waiting)
        self._waiting.clear()
        silent = self._lag - len(waiting)  # fewer frames than the lag
        for k in range(self._lag if waiting else 0):
            later = replace(waiting[-1], index=waiting[-1].index + k + 1, stamp_ns=waiting[-1].stamp_ns + k + 1)
            humans = self.recovery(later, [])
            if k >= silent:
                yield waiting[k - silent], humans

    def search(self, frame: Frame, hurry: bool = False) -> bool:
        """Live: what need not be done before `frame` is answered; `hurry` = put it off if that can be.

        Returns whether it was done.
        """
        return self.tracker.search(frame, hurry)

    def reset(self) -> None:
        """Forget all tracks, as at the start of another video."""
        self.tracker.reset()
        self.recovery.reset()
        self._waiting.clear()
