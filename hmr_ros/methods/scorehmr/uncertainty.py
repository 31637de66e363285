"""How uncertain joints are after refinement: from what the recovery says and what the evidence leaves open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.model import NUM_JOINTS, BodyModel
from hmr_ros.body.points import subtrees
from hmr_ros.evidence.record import Evidence
from hmr_ros.methods.contract import Estimate, estimate_at
from hmr_ros.methods.scorehmr.doubt import doubt
from hmr_ros.methods.uncertainty import by_joint, carried, scaled
from hmr_ros.types import Floats

# of both together, by joint group, so that the 95 % ellipsoids hold 95 % of the joints, on rendered motion of people
# that no network was trained on (benchmarks/uncertainty.py)
_SCALE = by_joint({
    "trunk": 0.91, "head": 0.76, "shoulders": 0.78, "elbows": 1.00, "hands": 0.92, "knees": 0.92, "feet": 0.79,
})  # fmt: skip
_LEAST_M = 1e-3
_ABOVE = subtrees().T - np.eye(NUM_JOINTS)  # [24,24] 1 where the second joint turns the first


def moved(
    estimate: Estimate, body: BodyModel, rotations: Floats, pelvis: Floats, precision: Floats,
    evidence: Evidence | None = None,
) -> Estimate:  # fmt: skip
    """The same person with refined local rotations [24,3,3] and pelvis [3] m; `precision` as in `refined_sigma`.

    The covariance keeps its directions, the hypotheses keep their deviations: both shrink with sigma. `evidence`: of
    the image that alone told the pose, so that what it contradicts is in doubt.
    """
    there = estimate_at(body, rotations, estimate.betas, pelvis, estimate.joint_covariance)
    sigma = estimate.joint_sigma
    new = refined_sigma(sigma, precision, there.joints)
    if evidence is not None and estimate.depths is None:
        new = new * doubt(evidence, estimate, there)
    samples = carried(estimate.samples, estimate.rotations, rotations, np.minimum(new / sigma, 1.0))
    return replace(there, joint_covariance=scaled(there.joint_covariance, sigma, new), samples=samples)


def without_doubt(evidence: Evidence, recovered: Estimate, refined: Estimate) -> Estimate:
    """An answer of `moved` with the covariance that it would have without evidence."""
    factor = doubt(evidence, recovered, refined)
    return replace(refined, joint_covariance=refined.joint_covariance / np.square(factor)[:, None, None])


def refined_sigma(recovered: Floats, precision: Floats, joints: Floats) -> Floats:
    """Standard deviation an axis [24] m of the joints [24,3] m, relative to the pelvis.

    `recovered` [24] m is the recovery's, `precision` [24] that of the six numbers of each joint's rotation as the
    evidence of the frames around leaves it: a turn w moves the six numbers by 4 w^2 in all, and every joint below by
    its lever. The geometric mean of both, scaled.
    """
    turn = 1.5 / precision  # variance of a rotation about an axis, rad^2
    levers = np.square(joints[:, None] - joints).sum(-1)
    variance = (2 / 3 * levers * _ABOVE) @ turn
    open_m = np.maximum(np.sqrt(variance), _LEAST_M)
    return np.where(_ABOVE.any(1), _SCALE * np.sqrt(recovered * open_m), recovered)
