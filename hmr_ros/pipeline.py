"""The main flow, read first: a frame goes in, the people in it come out as SMPL parameters."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hmr_ros.body.model import BodyModel
from hmr_ros.config import DetectorConfig, HmrConfig, TrackerConfig
from hmr_ros.evidence.record import Evidence, EvidenceMaker
from hmr_ros.geometry.turn import Turn
from hmr_ros.methods.contract import Answer, Calibration, Estimate, Observation, Recovery, Refinement, humans_of
from hmr_ros.methods.conversion import BodyConversion
from hmr_ros.types import Frame, Human, Result, Track

T = TypeVar("T")


class Tracker(Protocol):
    """Finds and follows people; has memory, as refinement has."""

    def step(self, frame: Frame) -> list[Track]:
        """People seen in this frame."""
        ...

    def search(self, frame: Frame, defer: bool) -> bool:
        """Search for new people after the frame was answered; False if that was deferred."""
        ...

    def adjust(self, config: TrackerConfig, search: DetectorConfig) -> None:
        """Take the settings that can change while it runs."""
        ...

    def hurry(self, late: bool) -> None:
        """Whether answers take longer than images come, so that work is to be left out."""
        ...

    def reset(self) -> None:
        """Forget everybody."""
        ...

    def restart(self) -> None:
        """Forget everybody, and begin with the first id."""
        ...


@dataclass(frozen=True)
class Stages:
    """What a frame goes through after tracking; the factory chooses."""

    evidence: EvidenceMaker
    recovery: Recovery
    refinement: Refinement | None = None
    calibration: Calibration | None = None  # most of them for people of whom a depth image says something
    conversion: BodyConversion | None = None  # where the answer shall belong to another body than the methods'
    hypotheses: Callable[[list[Evidence], list[Estimate]], list[Estimate]] | None = None  # gives estimates samples


class Pipeline:
    """image -> tracks -> evidence -> recovery -> hypotheses -> calibration -> refinement -> people.

    Frames are given in the order of their stamps. Not safe to call from several threads at once, but that one may
    `track` frames while another takes them further.
    """

    def __init__(self, body: BodyModel, tracker: Tracker, stages: Stages, turn: Turn | None = None) -> None:
        """`body` is the one that the answers belong to; `turn` makes images upright, answers are turned back."""
        self.body, self.tracker, self.stages, self.turn = body, tracker, stages, turn or Turn()
        self._upright: tuple[Frame, Frame] | None = None  # the last frame, and the same turned
        self.stage_seconds: dict[str, float] = {}  # cost of each stage in the last frame
        self._waiting: deque[tuple[Frame, list[Observation], Answer]] = deque()

    def results(self, frames: Iterable[Frame]) -> Iterator[Result]:
        """The answers to all frames, in order. Where this is broken off, `finish` has those that still wait."""
        for frame in frames:
            result = self.step(frame)
            self.search(frame)
            if result is not None:
                yield result
        yield from self.finish()

    def step(self, frame: Frame) -> Result | None:
        """The answer to `frame`; with a lag that to an older frame, or None while there is none."""
        self.stage_seconds = {}
        return self.recover(frame, self._timed("track", lambda: self.track(frame)))

    def track(self, frame: Frame) -> list[Track]:
        """The first half of `step`. May run in one thread, frame by frame, while the second, `recover` or
        `observations`, runs in another for the frames before."""
        return self.tracker.step(self.upright(frame))

    def recover(self, frame: Frame, tracks: list[Track]) -> Result | None:
        """Everything after tracking; see `step`."""
        people = self.observations(frame, tracks)
        refinement = self.stages.refinement
        answer = self._timed("refine", lambda: refinement.observe(frame.stamp_ns, people)) if refinement else None
        self._waiting.append((frame, people, answer or (lambda: [p.estimate for p in people])))
        return self._next() if len(self._waiting) > (refinement.lag if refinement else 0) else None

    def observe(self, frame: Frame) -> list[Observation]:
        """People in `frame` before refinement, for methods that want whole tracks."""
        self.stage_seconds = {}
        return self.observations(frame, self._timed("track", lambda: self.track(frame)))

    def finish(self) -> Iterator[Result]:
        """At the end: the answers to the frames that still wait."""
        while self._waiting:
            yield self._next()

    def search(self, frame: Frame, defer: bool = False) -> bool:
        """What need not be done before `frame` is answered; `defer` = put it off if that can be.

        Returns whether it was done.
        """
        return self.tracker.search(self.upright(frame), defer)

    def hurry(self, late: bool) -> None:
        """Whether answers take longer than images come: then far people are followed in every other frame."""
        self.tracker.hurry(late)

    def upright(self, frame: Frame) -> Frame:
        """The frame as tracking and recovery see it."""
        last = self._upright  # read once: two threads may ask
        if last is None or last[0] is not frame:
            self._upright = last = frame, self.turn.frame(frame)
        return last[1]

    def reset(self) -> None:
        """Forget all tracks, as at the start of another video."""
        self.tracker.reset()
        self.stages.recovery.reset()
        if self.stages.calibration:
            self.stages.calibration.reset()
        if self.stages.refinement:
            self.stages.refinement.reset()
        if self.stages.conversion:
            self.stages.conversion.reset()
        self._waiting.clear()

    def restart(self) -> None:
        """As if it had just been built: nobody is remembered, and ids begin anew."""
        self.tracker.restart()
        self.reset()

    def adjust(self, config: HmrConfig) -> None:
        """Take the settings that can change while it runs (`config.LIVE`); nobody is forgotten."""
        self.tracker.adjust(config.tracker, config.detector)
        if self.stages.refinement:
            self.stages.refinement.adjust(config.temporal)

    def humans(self, people: list[Observation], estimates: list[Estimate]) -> list[Human]:
        """People of one frame as they leave the pipeline, on its own body."""
        if self.stages.conversion and people:
            estimates = self.stages.conversion(people[0].frame, [p.track.track_id for p in people], estimates)
        humans = humans_of(people, estimates, self.body)
        return [self.turn.back.human(h, p.camera) for h, p in zip(humans, people, strict=True)]

    def observations(self, frame: Frame, tracks: list[Track]) -> list[Observation]:
        """People in `frame` before refinement: the second half of `observe`."""
        frame = self.upright(frame)
        evidence = self._timed("evidence", lambda: self.stages.evidence(frame, tracks))
        estimates = self._timed("recover", lambda: self.stages.recovery(frame, tracks, evidence))
        calibration, hypotheses = self.stages.calibration, self.stages.hypotheses
        if hypotheses:
            alone = estimates
            estimates = self._timed("hypotheses", lambda: hypotheses(evidence, alone))
        if calibration and (not calibration.needs_depth or any(e.depth for e in evidence)):
            recovered = estimates
            estimates = self._timed("calibrate", lambda: calibration(frame.index, tracks, evidence, recovered))
        return [
            Observation(frame.index, frame.stamp_ns, frame.camera, *row)
            for row in zip(tracks, evidence, estimates, strict=True)
        ]

    def _next(self) -> Result:
        frame, people, answer = self._waiting.popleft()
        estimates = self._timed("refine", answer) if self.stages.refinement else answer()
        return Result(frame, self.humans(people, estimates))

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + time.perf_counter() - start
