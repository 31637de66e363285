"""`refine: temporal` and `refine: keypoints`: score guidance over a sliding window, frame by frame (ScoreHMR, live)."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.diffusion.rotation6d import rotations_from_6d
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.posture.prior import TorchPrior, slots
from hmr_ros.stages.guided import Guidance, Target, refine_stack
from hmr_ros.stages.recover import Recovery
from hmr_ros.stages.window import Row, TrackWindow, evidence_of, stack, turn_root
from hmr_ros.types import Camera, Floats, Frame, Human, Track


class ScoreRefinement:
    """A recovery whose people are refined frame by frame; each track has its window."""

    def __init__(self, recovery: Recovery, prior: TorchPrior, body: BodyModel, guidance: Guidance) -> None:
        self._recovery, self._prior, self._body, self._guidance = recovery, prior, body, guidance
        self.windows: dict[int, TrackWindow] = {}
        self.stage_seconds: dict[str, float] = {}

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`."""
        humans = self._recovery(frame, tracks)
        start = time.perf_counter()
        seconds = frame.stamp_ns * 1e-9
        self.forget(seconds)
        if humans:
            windows = self._remember(humans, seconds)
            humans = self._refine(windows, frame)
        self.stage_seconds = getattr(self._recovery, "stage_seconds", {}) | {"refine": time.perf_counter() - start}
        return humans

    def reset(self) -> None:
        """Forget all windows."""
        self._recovery.reset()
        self.windows.clear()

    def forget(self, seconds: float) -> None:
        """Tracks out of sight for long, and everything when time goes backwards."""
        gap = self._guidance.max_gap_s
        self.windows = {i: w for i, w in self.windows.items() if 0 < seconds - w.rows[-1].seconds <= gap}

    @torch.inference_mode()
    def _remember(self, humans: list[Human], seconds: float) -> list[TrackWindow]:
        """Put the new frame into each person's window, with what the evidence speaks for."""
        size = self._prior.size
        windows, seen = [], []
        history = 4 * size.past if self._guidance.frames > 1 else 1
        for human in humans:
            window = self.windows.setdefault(human.track_id, TrackWindow(self._guidance.frames, history))
            window.remember(seconds, human)
            seen.append(slots(*window.evidence()[::-1], seconds, size))
            windows.append(window)
        both = torch.as_tensor(np.array([w for w, _ in seen]), dtype=torch.float32)
        present = torch.as_tensor(np.array([p for _, p in seen]), dtype=torch.float32)
        aim = torch.as_tensor(np.array([evidence_of(h).R_camera_aimed for h in humans]), dtype=torch.float32)
        poses = turn_root(both[..., size.features :], aim.transpose(1, 2)[:, None])
        expected = self._prior.expect(both[..., : size.features], poses, present)
        start = turn_root(expected.pose, aim)
        for i, (human, window) in enumerate(zip(humans, windows, strict=True)):
            window.rows.append(Row(human, seconds, start[i], expected.sigma[i], expected.share[i], aim[i], start[i]))
        return windows

    @torch.inference_mode()
    def _refine(self, windows: list[TrackWindow], frame: Frame) -> list[Human]:
        """All windows at once; returns the newest frame of each."""
        seen = stack([list(w.rows) for w in windows], self._guidance.frames)
        betas = np.array([w.rows[-1].human.betas for w in windows])
        target = Target(seen, betas, self._body, self._guidance, newest=1)
        x = refine_stack(seen.rows(slice(-1, None)), target, self._prior, self._guidance)
        for window, poses in zip(windows, torch.cat([target.older, x], 1), strict=True):
            for row, pose in zip(reversed(window.rows), poses.flip(0), strict=False):
                row.x = pose
        pelvis = target.place(x)[:, -1]
        return [
            with_pose(w.rows[-1].human, pose, place, self._body, frame.camera)
            for w, pose, place in zip(windows, x[:, -1], pelvis, strict=True)
        ]


def with_pose(human: Human, pose: Tensor, pelvis: Tensor, body: BodyModel, camera: Camera) -> Human:
    """The same person in another pose [144] (6D, camera axes) with the pelvis [3] m elsewhere."""
    rotations: Floats = rotations_from_6d(pose).double().numpy()
    place = pelvis.double().numpy()
    rest = body.rest_joints(human.betas)
    joints = forward_kinematics(rotations, rest)[1]
    joints = joints - joints[:1] + place
    angles = axis_angle_from_matrix(rotations)
    return replace(
        human, global_orient=angles[0], body_pose=angles[1:].reshape(-1), transl=place - rest[0], joints=joints,
        joints_2d=distort_points(project(joints, camera.K), camera),
    )  # fmt: skip
