"""Hypotheses of everybody in a frame: evidence and noise in, poses about the mean out, on any engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.schedule import antithetic
from hmr_ros.evidence.features import evidence_features
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.record import Evidence, keypoints_of, posture_of
from hmr_ros.methods.contract import Estimate, Parts
from hmr_ros.runtime.contract import Engine, Signature
from hmr_ros.types import Floats


def hypotheses_signature(features: int, numbers: int) -> Signature:
    """Names and sizes as in `sampling.Sampler.forward`."""
    return Signature(
        "hypotheses",
        {"features": (features,), "pose": (144,), "noise": (numbers + 24,), "bones": (24, 3), "pelvis": (3,)},
        {"samples": (24, 3, 3), "spread": (24,)},
    )


@dataclass(frozen=True)
class Sampled:
    """What the evidence of N people in one frame allows, camera axes."""

    samples: Floats  # [N,S,24,3,3] local rotations
    spread: Floats  # [24] factor of the standard deviation of the sampled joints' positions


class HypothesisSampler:
    """`count` poses of each person from the same noise in every frame, so that a hypothesis follows its person."""

    def __init__(self, engine: Engine, body: BodyModel, count: int, seed: int = 0) -> None:
        """`body` is the open body."""
        self._engine, self._body, self._count = engine, body, count
        numbers = engine.signature.inputs["noise"][0]
        self._noise = antithetic(np.random.default_rng(seed), count, numbers).astype(np.float32)

    def __call__(self, evidence: list[Evidence], estimates: list[Estimate]) -> Sampled:
        """`estimates` of the same people, recovered from the same frame; there must be somebody."""
        seen, posture = keypoints_of(evidence), posture_of(evidence)
        # the network knows the aimed camera alone, not where in the image it is aimed
        alone = Normalised(seen.points, seen.scale, np.tile(np.eye(3), (len(evidence), 1, 1)))
        rotations = np.array([e.rotations for e in estimates])
        R, count = seen.R_camera_aimed, self._count
        rotations[:, 0] = np.swapaxes(R, 1, 2) @ rotations[:, 0]
        pelvis = np.array([e.joints[0] for e in estimates])
        people = {
            "features": evidence_features(alone, posture),
            "pose": np.swapaxes(rotations[..., :2], -1, -2).reshape(len(rotations), -1),
            "bones": self._body.bones(np.array([e.betas for e in estimates])),
            "pelvis": (pelvis[:, None] @ R)[:, 0],  # rows: R^T p
        }
        rows = {name: np.repeat(array, count, 0) for name, array in people.items()}
        found = self._engine(rows | {"noise": np.tile(self._noise, (len(evidence), 1))})
        samples = found["samples"].astype(float).reshape(len(evidence), count, 24, 3, 3)
        samples[:, :, 0] = R[:, None] @ samples[:, :, 0]
        return Sampled(samples, found["spread"][0].astype(float))


class Hypotheses:
    """`hypotheses.count` with any recovery: samples about what it says."""

    def __init__(self, sampler: HypothesisSampler) -> None:
        self._sampler = sampler

    def __call__(self, evidence: list[Evidence], estimates: list[Estimate]) -> list[Estimate]:
        """The same estimates with samples."""
        if not estimates:
            return []
        drawn = self._sampler(evidence, estimates)
        return [replace(e, samples=samples) for e, samples in zip(estimates, drawn.samples, strict=True)]


def build(parts: Parts) -> Hypotheses:
    """`hypotheses.count`, beside any recovery that does not sample itself."""
    asked = parts.config.hypotheses
    return Hypotheses(HypothesisSampler(parts.engine("hypotheses"), parts.body, asked.count, asked.seed))
