"""People of one SMPL-format body as people of another: pose carried over, shape and joints refitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.model import NUM_JOINTS, BodyModel, forward_kinematics
from hmr_ros.body.points import points_of
from hmr_ros.body.shape import TrackShapes
from hmr_ros.methods.contract import Estimate
from hmr_ros.methods.uncertainty import carried

_SIGMA_M = 0.005  # joints shall agree about so well; what they leave open stays as it was
_ITERATIONS = 4


class BodyConversion:
    """Estimates are handed on as those of `target` (a real SMPL file, for example). Remembers each track's shape."""

    def __init__(self, target: BodyModel) -> None:
        self._target = target
        self._fitter = PointFitter(points_of(target, np.arange(NUM_JOINTS), np.array([], np.int64)))
        self._shapes = TrackShapes()

    def __call__(self, frame: int, track_ids: list[int], estimates: list[Estimate]) -> list[Estimate]:
        """The same people of one frame with betas, pose and joints of the target; joints stay where they were."""
        if not estimates:
            return []
        joints = np.array([e.joints for e in estimates])
        near = np.array([e.rotations for e in estimates])
        betas, sigma_betas = self._shapes.expected(track_ids)
        N = len(estimates)
        nowhere = np.zeros((N, NUM_JOINTS, 2))
        sigma, unseen = np.full((N, NUM_JOINTS), _SIGMA_M), np.full((N, NUM_JOINTS), np.inf)
        relative = joints - joints[:, :1]
        fitted = self._fitter(Observed(relative, sigma, nowhere, unseen, betas, sigma_betas), _ITERATIONS, near)
        self._shapes.learn(track_ids, fitted.betas, frame)
        placed = forward_kinematics(fitted.rotations, self._target.rest_joints(fitted.betas))[1]
        transl = (joints - placed).mean(1)
        placed = placed + transl[:, None]
        return [
            replace(
                estimate, rotations=fitted.rotations[i], betas=fitted.betas[i], transl=transl[i], joints=placed[i],
                samples=carried(estimate.samples, estimate.rotations, fitted.rotations[i]),
            )
            for i, estimate in enumerate(estimates)
        ]  # fmt: skip

    def reset(self) -> None:
        """Forget all shapes."""
        self._shapes = TrackShapes()
