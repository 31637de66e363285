"""How uncertain joints are after refinement: from what the recovery says and what the evidence leaves open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.model import NUM_JOINTS, SUBTREES, BodyModel, forward_kinematics
from hmr_ros.evidence.record import Evidence
from hmr_ros.geometry.covariance import mean_sigma
from hmr_ros.methods.contract import Estimate
from hmr_ros.methods.scorehmr.doubt import doubt, doubts
from hmr_ros.methods.uncertainty import by_joint, carried, scaled
from hmr_ros.types import Floats

# of both together, by joint group: the 95 % ellipsoids hold 95 % of the joints on rendered motion of people that no
# network was trained on (benchmarks/uncertainty.py), and are as wide with other weights of the prior
_SCALE = by_joint({
    "trunk": 1.44, "head": 1.15, "shoulders": 1.18, "elbows": 1.35, "hands": 1.18, "knees": 1.35, "feet": 1.10,
})  # fmt: skip
_LEAST_M = 1e-3
_ABOVE = SUBTREES.T - np.eye(NUM_JOINTS)  # [24,24] 1 where the second joint turns the first
_HANGS = _ABOVE.any(1)


def moved(
    estimate: Estimate, body: BodyModel, rotations: Floats, pelvis: Floats, precision: Floats,
    evidence: Evidence | None = None,
) -> Estimate:  # fmt: skip
    """`moved_people` of one person, without the first axis."""
    seen = None if evidence is None else [evidence]
    return moved_people([estimate], body, rotations[None], pelvis[None], precision[None], seen)[0]


def moved_people(
    estimates: list[Estimate], body: BodyModel, rotations: Floats, pelvis: Floats, precision: Floats,
    evidence: list[Evidence] | None = None,
) -> list[Estimate]:  # fmt: skip
    """The same N people with refined local rotations [N,24,3,3] and pelvis [N,3] m; `precision` [N,24] as in
    `refined_sigma`.

    The covariance keeps its directions, the hypotheses keep their deviations: both shrink with sigma. `evidence`: of
    the image that alone told each pose, so that what it contradicts is in doubt.
    """
    rest = body.rest_joints(np.array([e.betas for e in estimates]))
    placed = forward_kinematics(rotations, rest)[1]
    joints, transl = placed - placed[:, :1] + pelvis[:, None], pelvis - rest[:, 0]
    covariance = np.array([e.joint_covariance for e in estimates])
    sigma = mean_sigma(covariance)
    new = refined_sigma(sigma, precision, joints)
    if evidence is not None:
        unmeasured = np.array([e.depths is None for e in estimates])
        new = np.where(unmeasured[:, None], new * doubts(evidence, estimates, sigma, joints), new)
    shrunk, factor = scaled(covariance, sigma, new), np.minimum(new / sigma, 1.0)
    return [
        Estimate(
            rotations[i], before.betas, transl[i], joints[i], shrunk[i],
            carried(before.samples, before.rotations, rotations[i], factor[i]),
        )
        for i, before in enumerate(estimates)
    ]  # fmt: skip


def without_doubt(evidence: Evidence, recovered: Estimate, refined: Estimate) -> Estimate:
    """An answer of `moved` with the covariance that it would have without evidence."""
    factor = doubt(evidence, recovered, refined)
    return replace(refined, joint_covariance=refined.joint_covariance / np.square(factor)[:, None, None])


def refined_sigma(recovered: Floats, precision: Floats, joints: Floats) -> Floats:
    """Standard deviation an axis [...,24] m of the joints [...,24,3] m, relative to the pelvis.

    `recovered` [...,24] m is the recovery's, `precision` [...,24] that of the six numbers of each joint's rotation as
    the evidence of the frames around leaves it: a turn w moves the six numbers by 4 w^2 in all, and every joint below
    by its lever. The geometric mean of both, scaled.
    """
    turn = 1.5 / precision  # variance of a rotation about an axis, rad^2
    at = joints - joints[..., :1, :]
    square = (at * at).sum(-1)
    # the sum of turn_k |p_j - p_k|^2 over the joints k above j
    sums = _ABOVE @ np.concatenate([turn[..., None], (turn * square)[..., None], turn[..., None] * at], -1)
    levers = square * sums[..., 0] + sums[..., 1] - 2 * (at * sums[..., 2:]).sum(-1)
    open_m = np.maximum(np.sqrt(np.maximum(2 / 3 * levers, 0.0)), _LEAST_M)
    return np.where(_HANGS, _SCALE * np.sqrt(recovered * open_m), recovered)
