"""`refine: temporal` and `refine: keypoints`: score guidance over a sliding window, frame by frame (ScoreHMR, live)."""

from __future__ import annotations

import time
from dataclasses import replace

from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.diffusion.settings import Guidance
from hmr_ros.engines.refine import RefineEngine
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.stages.recover import Recovery
from hmr_ros.stages.window import TrackWindow, refine_inputs
from hmr_ros.types import Camera, Floats, Frame, Human, Track


class ScoreRefinement:
    """A recovery whose people are refined frame by frame; each track has its window."""

    def __init__(self, recovery: Recovery, network: RefineEngine, body: BodyModel, guidance: Guidance) -> None:
        self._recovery, self._network, self._body, self._guidance = recovery, network, body, guidance
        self.windows: dict[int, TrackWindow] = {}
        self.stage_seconds: dict[str, float] = {}

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`."""
        humans = self._recovery(frame, tracks)
        start = time.perf_counter()
        self.forget(frame.stamp_ns * 1e-9)
        if humans:
            humans = self._refined(humans, frame)
        self.stage_seconds = getattr(self._recovery, "stage_seconds", {}) | {"refine": time.perf_counter() - start}
        return humans

    def reset(self) -> None:
        """Forget all windows."""
        self._recovery.reset()
        self.windows.clear()

    def forget(self, seconds: float) -> None:
        """Tracks out of sight for long, and everything when time goes backwards."""
        gap = self._guidance.max_gap_s
        self.windows = {i: w for i, w in self.windows.items() if 0 < seconds - w.seconds <= gap}

    def _refined(self, humans: list[Human], frame: Frame) -> list[Human]:
        """All people at once, each with the window of its track."""
        network = self._network
        windows = [self.windows.setdefault(h.track_id, TrackWindow(network.frames, network.grid)) for h in humans]
        if not self._guidance.history:
            for window in windows:
                window.forget()
        found = network(refine_inputs(windows, humans, frame.stamp_ns * 1e-9, self._body, self._guidance))
        for window, human, mean, precision in zip(windows, humans, found["mean"], found["precision"], strict=True):
            window.remember(human, mean, precision)
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
