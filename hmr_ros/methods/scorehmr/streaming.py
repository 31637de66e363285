"""`refine: temporal` and `refine: keypoints`: score guidance over a sliding window, frame by frame (ScoreHMR, live)."""

from __future__ import annotations

from dataclasses import replace

from hmr_ros.body.model import BodyModel
from hmr_ros.config import TemporalConfig
from hmr_ros.evidence.features import Grid
from hmr_ros.methods.contract import Answer, Estimate, Observation, Parts
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.uncertainty import moved_people
from hmr_ros.methods.scorehmr.window import TrackWindow, evidence_rows, refine_inputs
from hmr_ros.runtime.contract import Arrays, Engine, Signature
from hmr_ros.types import Floats

PAST = 10  # slots up to the frame itself; the prior's default, written into its weights


class RefineNetwork:
    """`guided_frame.GuidedFrame` on any engine, with the sizes that its caller needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        inputs = engine.signature.inputs
        self.frames = inputs["present"][0]
        self.grid = Grid(PAST, inputs["known"][0])

    def __call__(self, inputs: Arrays) -> dict[str, Floats]:
        """See `GuidedFrame.forward`; float64."""
        return {name: array.astype(float) for name, array in self.engine(inputs).items()}


def refine_signature(slots: int, features: int, frames: int) -> Signature:
    """Names and sizes as in `GuidedFrame.forward`."""
    older = frames - 1
    return Signature(
        "refine",
        {
            "window": (slots, features), "poses": (slots, 144), "known": (slots,), "aim": (3, 3),
            "means": (older, 144), "precisions": (older, 24), "present": (frames,), "seconds": (older,),
            "log_depth": (frames,), "rays": (12, 2), "confidence": (12,), "bones": (24, 3), "recovered": (3,),
            "sigma_ray": (), "floor": (), "measured": (144,), "trust": (24,), "depths": (12,), "depth_weights": (12,),
            "sigma_depth": (),
        },
        {"rotations": (24, 3, 3), "pelvis": (3,), "mean": (144,), "precision": (24,)},
    )  # fmt: skip


class ScoreRefinement:
    """Refines everybody of a frame at once; each track has its window. Needs evidence with the 81 points."""

    def __init__(self, network: RefineNetwork, body: BodyModel, guidance: Guidance, lag: int = 0) -> None:
        """`body` is the open body, on which the prior was trained; `lag` as in `Refinement`."""
        self._network, self._body, self._guidance = network, body, guidance
        self.lag = lag
        self.windows: dict[int, TrackWindow] = {}

    def observe(self, stamp_ns: int, people: list[Observation]) -> Answer:
        """See `Refinement`."""
        seconds = stamp_ns * 1e-9
        self.forget(seconds)
        windows = [self._window(p, f, seconds) for p, f in zip(people, evidence_rows(people), strict=True)]
        return lambda: self._refined(seconds, people, windows)

    def adjust(self, config: TemporalConfig) -> None:
        """See `Refinement`; a frame alone has no such setting."""
        if self._guidance.history:
            self._guidance = replace(self._guidance, sigma_ray=config.landmark_sigma_m)

    def reset(self) -> None:
        """Forget all windows."""
        self.windows.clear()

    def forget(self, seconds: float) -> None:
        """Tracks out of sight for long, and everything when time goes backwards."""
        gap = self._guidance.max_gap_s
        self.windows = {i: w for i, w in self.windows.items() if 0 < seconds - w.seconds <= gap}

    def _window(self, person: Observation, features: Floats, seconds: float) -> TrackWindow:
        """The window of the person's track, with the new frame's evidence."""
        window = self.windows.get(person.track.track_id)
        if window is None:
            window = self.windows[person.track.track_id] = TrackWindow(self._network.frames, self._network.grid)
        if not self._guidance.history:
            window.forget()
        window.add(seconds, features)
        return window

    def _refined(self, seconds: float, people: list[Observation], windows: list[TrackWindow]) -> list[Estimate]:
        if not people:
            return []
        found = self._network(refine_inputs(windows, people, seconds, self._body, self._guidance))
        for i, (person, window) in enumerate(zip(people, windows, strict=True)):
            window.remember(seconds, person, found["mean"][i], found["precision"][i])
        return moved_people(
            [p.estimate for p in people], self._body, found["rotations"], found["pelvis"], found["precision"],
            [p.evidence for p in people],
        )  # fmt: skip


def build_temporal(parts: Parts) -> ScoreRefinement:
    """`refine: temporal`."""
    config = parts.config.temporal
    guidance = Guidance(frames=config.window, sigma_ray=config.landmark_sigma_m)
    return ScoreRefinement(RefineNetwork(parts.engine("refine")), parts.body, guidance, config.lag)


def build_keypoints(parts: Parts) -> ScoreRefinement:
    """`refine: keypoints`: each frame by its key points alone."""
    return ScoreRefinement(RefineNetwork(parts.engine("refine")), parts.body, KEYPOINTS)
