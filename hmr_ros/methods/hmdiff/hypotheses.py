"""Hypotheses of `recover: hmdiff`: a body fitted to each sample of the 81 points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.model import BodyModel
from hmr_ros.evidence.record import Evidence, Posture, keypoints_of, posture_of
from hmr_ros.methods.contract import Estimate, Parts
from hmr_ros.methods.hmdiff.source import HmdiffPosture
from hmr_ros.methods.posturehmr.recovery import observed
from hmr_ros.types import Floats

_SIGMA_BETAS = 0.05  # the shape is the answer's own
_ITERATIONS = 2
_SHARE = 0.5  # of the points' sigma: a sample is to be met, not averaged with the others


class HmdiffHypotheses:
    """As many samples as are asked for; more than the network draws at once come from further seeds."""

    def __init__(self, sources: list[HmdiffPosture], body: BodyModel, count: int) -> None:
        """`sources` differ in their seeds and have `count` samples together, or more; `body` is the open body."""
        self._sources, self._count = sources, count
        self._fitter = PointFitter(sparse_points(body, coarse_of(body)))

    def __call__(self, evidence: list[Evidence], estimates: list[Estimate]) -> list[Estimate]:
        """The same estimates with samples [S,24,3,3] of local rotations."""
        if not estimates:
            return []
        points = np.concatenate([source.samples(evidence) for source in self._sources])[: self._count]
        rotations = self._fitted(points, evidence, estimates)
        return [replace(e, samples=rotations[:, i]) for i, e in enumerate(estimates)]

    def _fitted(self, points: Floats, evidence: list[Evidence], estimates: list[Estimate]) -> Floats:
        """Local rotations [S,N,24,3,3] of bodies fitted to `points` [S,N,81,3] m and the landmarks' rays."""
        S, N = points.shape[:2]
        seen, posture = keypoints_of(evidence), posture_of(evidence)
        R = seen.R_camera_aimed
        start = np.array([e.rotations for e in estimates])
        start[:, 0] = np.swapaxes(R, 1, 2) @ start[:, 0]
        betas = np.array([e.betas for e in estimates])
        met = Posture(posture.points_2d, posture.sigma_2d, posture.points, _SHARE * posture.sigma)
        rows = observed(seen, met, betas, np.full(N, _SIGMA_BETAS))
        several: dict[str, Any] = {name: _tiled(array, S) for name, array in vars(rows).items() if array is not None}
        several["points"] = points.reshape(S * N, *points.shape[2:])
        fitted = self._fitter(replace(rows, **several), _ITERATIONS, start=_tiled(start, S))
        rotations = fitted.rotations.reshape(S, N, 24, 3, 3).copy()
        rotations[:, :, 0] = R @ rotations[:, :, 0]
        return rotations


def _tiled(rows: Floats, count: int) -> Floats:
    """[N,...] -> [count * N,...]."""
    return np.tile(rows, (count, *[1] * (rows.ndim - 1)))


def build(parts: Parts) -> HmdiffHypotheses:
    """`hypotheses.count` with `recover: hmdiff`."""
    asked, config = parts.config.hypotheses, parts.config.hmdiff
    source = HmdiffPosture(config, parts.body, parts.engine("hmdiff"), None)
    seeds = range(asked.seed, asked.seed + -(-asked.count // config.samples))
    return HmdiffHypotheses([source.seeded(seed) for seed in seeds], parts.body, asked.count)
