"""The main flow, read first: a frame goes in, the people in it come out as SMPL parameters."""

from __future__ import annotations

import time
from typing import Protocol

from hmr_ros.body.model import BodyModel
from hmr_ros.stages.recover import Recovery
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

    def __init__(self, body: BodyModel, tracker: Tracker, recovery: Recovery) -> None:
        self.body = body
        self.stage_seconds: dict[str, float] = {}  # cost of each stage in the last frame
        self.tracker = tracker
        self.recovery = recovery

    def step(self, frame: Frame) -> list[Human]:
        """People in `frame`, the most certain first."""
        start = time.perf_counter()
        tracks = self.tracker.step(frame)
        tracked = time.perf_counter()
        humans = self.recovery(frame, tracks)
        self.stage_seconds = {"track": tracked - start, "recover": time.perf_counter() - tracked}
        return humans

    def search(self, frame: Frame, hurry: bool = False) -> bool:
        """Live: what need not be done before `frame` is answered; `hurry` = put it off if that can be.

        Returns whether it was done.
        """
        return self.tracker.search(frame, hurry)

    def reset(self) -> None:
        """Forget all tracks, as at the start of another video."""
        self.tracker.reset()
        self.recovery.reset()
