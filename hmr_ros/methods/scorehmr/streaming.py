"""A guided frame of live refinement on any engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.body.loading import asset
from hmr_ros.errors import AssetError
from hmr_ros.evidence.grid import Grid
from hmr_ros.methods.dummy_inputs import sample
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.runtime.contract import Arrays, Engine, Signature
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from hmr_ros.runtime.torch import TorchEngine


import time
from collections import deque
from dataclasses import replace

from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.kinematic import Recovery
from hmr_ros.methods.scorehmr.window import TrackWindow, refine_inputs
from hmr_ros.types import Camera, Frame, Human, Track

PAST = 10  # slots up to the frame itself; the prior's default, written into its weights


class RefineEngine:
    """`posture.live.GuidedFrame` on an engine, with the sizes that its caller needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        inputs = engine.signature.inputs
        self.frames = inputs["present"][0]
        self.grid = Grid(PAST, inputs["known"][0])

    def __call__(self, inputs: Arrays) -> dict[str, Floats]:
        """See `GuidedFrame.forward`; float64."""
        return {name: array.astype(float) for name, array in self.engine(inputs).items()}

    def warm_up(self) -> None:
        """Pay now for what the first run costs more."""
        self(sample(self.engine.signature, 1))


def refine_signature(slots: int, features: int, frames: int) -> Signature:
    """Names and sizes as in `GuidedFrame.forward`."""
    older = frames - 1
    return Signature(
        "refine",
        {
            "window": (slots, features), "poses": (slots, 144), "known": (slots,), "aim": (3, 3),
            "means": (older, 144), "precisions": (older, 24), "present": (frames,), "seconds": (older,),
            "log_depth": (frames,), "rays": (12, 2), "confidence": (12,), "bones": (24, 3), "recovered": (3,),
            "sigma_ray": (), "floor": (),
        },
        {"rotations": (24, 3, 3), "pelvis": (3,), "mean": (144,), "precision": (24,)},
    )  # fmt: skip


def torch_refine(frames: int, weights: Path | None = None) -> TorchEngine:
    """The same in torch; `weights` = a file other than the shipped one."""
    from hmr_ros.methods.scorehmr.guided_frame import GuidedFrame
    from hmr_ros.methods.scorehmr.prior import load_network
    from hmr_ros.runtime.torch import TorchEngine

    path = weights or asset("prior.safetensors")
    network = load_network(path)
    if network.size.past != PAST:
        raise AssetError(f"{path.name} looks at {network.size.past} slots up to the frame, not {PAST}; train it again")
    module = GuidedFrame(network, Guidance(frames=frames))
    return TorchEngine(module, refine_signature(network.size.slots, network.size.features, frames))


class ScoreRefinement:
    """A recovery whose people are refined frame by frame; each track has its window.

    With a `lag` the answer to a frame comes so many frames later, when those after it have been seen.
    """

    def __init__(
        self, recovery: Recovery, network: RefineEngine, body: BodyModel, guidance: Guidance, lag: int = 0
    ) -> None:
        self._recovery, self._network, self._body, self._guidance = recovery, network, body, guidance
        self._lag = lag
        self._waiting: deque[tuple[Frame, list[Human], list[TrackWindow]]] = deque()
        self.windows: dict[int, TrackWindow] = {}
        self.stage_seconds: dict[str, float] = {}

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`; the people of the frame `lag` frames ago, nobody while there is none."""
        humans = self._recovery(frame, tracks)
        start = time.perf_counter()
        seconds = frame.stamp_ns * 1e-9
        self.forget(seconds)
        windows = [self._window(h, seconds) for h in humans]
        self._waiting.append((frame, humans, windows))
        answer: list[Human] = []
        if len(self._waiting) > self._lag:
            answer = self._refined(*self._waiting.popleft())
        self.stage_seconds = getattr(self._recovery, "stage_seconds", {}) | {"refine": time.perf_counter() - start}
        return answer

    def reset(self) -> None:
        """Forget all windows."""
        self._recovery.reset()
        self.windows.clear()
        self._waiting.clear()

    def forget(self, seconds: float) -> None:
        """Tracks out of sight for long, and everything when time goes backwards."""
        gap = self._guidance.max_gap_s
        self.windows = {i: w for i, w in self.windows.items() if 0 < seconds - w.seconds <= gap}

    def _window(self, human: Human, seconds: float) -> TrackWindow:
        """The window of the person's track, with the new frame's evidence."""
        window = self.windows.setdefault(human.track_id, TrackWindow(self._network.frames, self._network.grid))
        if not self._guidance.history:
            window.forget()
        window.see(seconds, human)
        return window

    def _refined(self, frame: Frame, humans: list[Human], windows: list[TrackWindow]) -> list[Human]:
        """All people of a frame at once."""
        if not humans:
            return []
        seconds = frame.stamp_ns * 1e-9
        found = self._network(refine_inputs(windows, humans, seconds, self._body, self._guidance))
        for window, human, mean, precision in zip(windows, humans, found["mean"], found["precision"], strict=True):
            window.remember(seconds, human, mean, precision)
        return [
            with_pose(human, rotations, pelvis, self._body, frame.camera)
            for human, rotations, pelvis in zip(humans, found["rotations"], found["pelvis"], strict=True)
        ]


def with_pose(human: Human, rotations: Floats, pelvis: Floats, body: BodyModel, camera: Camera) -> Human:
    """The same person with local rotations [24,3,3] (the first: body -> camera) and the pelvis [3] m elsewhere."""
    rest = body.rest_joints(human.betas)
    joints = forward_kinematics(rotations, rest)[1]
    joints = joints - joints[:1] + pelvis
    angles = axis_angle_from_matrix(rotations)
    return replace(
        human, global_orient=angles[0], body_pose=angles[1:].reshape(-1), transl=pelvis - rest[0], joints=joints,
        joints_2d=distort_points(project(joints, camera.K), camera),
    )  # fmt: skip
