"""People of one SMPL-format body as people of another: pose carried over, shape and joints refitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.model import NUM_JOINTS, BodyModel, forward_kinematics, pose_matrices
from hmr_ros.body.points import points_of
from hmr_ros.body.shape import TrackShapes
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.kinematic import Recovery
from hmr_ros.types import Camera, Frame, Human, Track

_SIGMA_M = 0.005  # joints shall agree about so well; what they leave open stays as it was
_ITERATIONS = 4


class BodyConversion:
    """A recovery whose people are handed on as people of `target` (a real SMPL file, for example)."""

    def __init__(self, recovery: Recovery, target: BodyModel) -> None:
        self._recovery, self._target = recovery, target
        self._fitter = PointFitter(points_of(target, np.arange(NUM_JOINTS), np.array([], np.int64)))
        self._shapes = TrackShapes()

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`."""
        humans = self._recovery(frame, tracks)
        return self.convert(humans, frame.camera) if humans else []

    def reset(self) -> None:
        """Forget all shapes."""
        self._recovery.reset()
        self._shapes = TrackShapes()

    def convert(self, humans: list[Human], camera: Camera) -> list[Human]:
        """The same people with betas, pose and joints of the target; their joints stay where they were."""
        joints = np.array([h.joints for h in humans])
        near = np.array([pose_matrices(h.global_orient, h.body_pose) for h in humans])
        ids = [h.track_id for h in humans]
        betas, sigma_betas = self._shapes.expected(ids)
        N = len(humans)
        nowhere = np.zeros((N, NUM_JOINTS, 2))
        relative = joints - joints[:, :1]
        sigma = np.full((N, NUM_JOINTS), _SIGMA_M)
        unseen = np.full((N, NUM_JOINTS), np.inf)
        fitted = self._fitter(Observed(relative, sigma, nowhere, unseen, betas, sigma_betas), _ITERATIONS, near)
        self._shapes.learn(ids, fitted.betas, humans[0].frame)
        rest = self._target.rest_joints(fitted.betas)
        placed = forward_kinematics(fitted.rotations, rest)[1]
        transl = (joints - placed).mean(1)
        placed = placed + transl[:, None]
        pose = axis_angle_from_matrix(fitted.rotations)
        return [
            replace(
                human, global_orient=pose[i, 0], body_pose=pose[i, 1:].reshape(-1), betas=fitted.betas[i],
                transl=transl[i], joints=placed[i], joints_2d=distort_points(project(placed[i], camera.K), camera),
                body_model=self._target.name,
            )
            for i, human in enumerate(humans)
        ]  # fmt: skip
