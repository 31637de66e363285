"""`recover: diffhmr`: the mean of the poses that the evidence allows, with their covariance."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.evidence.record import Evidence
from hmr_ros.geometry.covariance import mean_sigma
from hmr_ros.methods.contract import Estimate, Parts, estimate_at
from hmr_ros.methods.diffhmr.hypotheses import HypothesisSampler
from hmr_ros.methods.posturehmr.recovery import PostureRecovery
from hmr_ros.methods.uncertainty import image_covariance, scaled
from hmr_ros.types import Floats, Frame, Track

SAMPLES = 8  # poses whose mean is the answer, where not more are asked for
_DOUBT = 24.0  # samples that the directions of a covariance of one image count for
_LEAST_M = 1e-3


class DiffHmrRecovery:
    """Recovers as `posture` does, samples about that, and answers with the mean of the samples."""

    def __init__(self, body: BodyModel, sampler: HypothesisSampler, *, keep: bool) -> None:
        """`body` is the open body, on which the networks were trained; `keep` hands the samples on."""
        self._body, self._sampler, self._keep = body, sampler, keep
        self._posture = PostureRecovery(body)

    def __call__(self, frame: Frame, tracks: list[Track], evidence: list[Evidence]) -> list[Estimate]:
        """See `Recovery`."""
        if not tracks:
            return []
        fitted = self._posture(frame, tracks, evidence)
        drawn = self._sampler(evidence, fitted)
        rows = zip(evidence, fitted, drawn.samples, strict=True)
        return [self._answer(seen, base, samples, drawn.spread) for seen, base, samples in rows]

    def reset(self) -> None:
        """Forget all shapes."""
        self._posture.reset()

    def _answer(self, seen: Evidence, base: Estimate, samples: Floats, spread: Floats) -> Estimate:
        rotations = mean_rotations(samples)
        there = estimate_at(self._body, rotations, base.betas, base.joints[0], base.joint_covariance)
        rays, confidence = seen.rays[BLAZEPOSE_LIMBS], seen.keypoints[BLAZEPOSE_LIMBS, 2]
        pelvis = base.joints[0] + aside(there.joints[SMPL_LIMBS], rays, confidence)
        rest = np.broadcast_to(self._body.rest_joints(base.betas), (len(samples), 24, 3))
        joints = forward_kinematics(samples, rest)[1]
        covariance = sampled_covariance(joints - joints[:, :1], base.joint_sigma, spread, there.joints)
        covariance[0] = base.joint_covariance[0]
        return Estimate(
            rotations, base.betas, there.transl + pelvis - base.joints[0], there.joints + pelvis - base.joints[0],
            covariance, samples if self._keep else None,
        )  # fmt: skip


def build(parts: Parts) -> DiffHmrRecovery:
    """`recover: diffhmr`."""
    asked = parts.config.hypotheses
    sampler = HypothesisSampler(parts.engine("hypotheses"), parts.body, asked.count or SAMPLES, asked.seed)
    return DiffHmrRecovery(parts.body, sampler, keep=asked.count > 0)


def mean_rotations(samples: Floats) -> Floats:
    """The rotations [J,3,3] nearest to the mean of the matrices [S,J,3,3] (chordal mean)."""
    U, _, Vt = np.linalg.svd(samples.mean(0))
    sign = np.ones((len(U), 3))
    sign[:, 2] = np.sign(np.linalg.det(U @ Vt))
    return np.asarray((U * sign[:, None]) @ Vt)


def sampled_covariance(joints: Floats, recovered: Floats, spread: Floats, at: Floats) -> Floats:
    """Covariance [24,3,3] m^2 of sampled joints [S,24,3] m relative to the pelvis, times `spread`^2 [24].

    Few samples know little: their standard deviation is taken together with the recovery's, `recovered` [24] m
    (geometric mean: each ranks errors that the other does not), their directions with those of any joint at `at`
    [24,3] m that one image told.
    """
    off = joints - joints.mean(0)
    sampled = np.einsum("sja,sjb->jab", off, off) / max(len(off) - 1, 1)
    wide = np.maximum(mean_sigma(sampled), _LEAST_M)
    sigma = spread * np.sqrt(wide * recovered)
    share = len(off) / (len(off) + _DOUBT)
    return np.asarray(share * scaled(sampled, wide, sigma) + (1 - share) * image_covariance(sigma, at))


def aside(joints: Floats, rays: Floats, weights: Floats) -> Floats:
    """Shift [3] m across the optical axis that brings joints [N,3] m nearest to their `rays` [N,2] on the plane z = 1,
    in weighted least squares; how far away they are stays."""
    z = np.maximum(joints[:, 2], 0.1)
    w = weights / z**2
    missing = (w[:, None] * (rays * z[:, None] - joints[:, :2])).sum(0)
    return np.r_[missing / max(float(w.sum()), 1e-9), 0.0]
