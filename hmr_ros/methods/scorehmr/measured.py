"""What refinement takes from measured depths: observations of a frame, and trust in the pose fitted to them."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import LIMB_JOINTS, SMPL, SMPL_LIMBS
from hmr_ros.methods.contract import Estimate
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.types import Floats

_ROW = {name: k for k, name in enumerate(LIMB_JOINTS)}
# which two limb joints say how a joint is turned: those at the ends of the bone that it moves
_BONES = {
    SMPL[f"{side}_{upper}"]: (_ROW[f"{side}_{upper}"], _ROW[f"{side}_{lower}"])
    for side in ("left", "right")
    for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
_TURNED = np.array(list(_BONES))
_START, _END = np.array(list(_BONES.values())).T
_TRUNK = np.array([_ROW[f"{side}_{joint}"] for joint in ("hip", "shoulder") for side in ("left", "right")])
_TRUNK_JOINTS = np.array([SMPL[n] for n in ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")])
_TRUNK_M = 0.3
_ACROSS_M = 0.03  # what a landmark leaves open


def measured_inputs(estimates: list[Estimate], guidance: Guidance) -> dict[str, Floats]:
    """Inputs `trust`, `depths`, `depth_weights` and `sigma_depth` of the network `refine` for people of one frame."""
    found = depth_inputs(estimates)
    known = (found["depth_weights"] > 0).any(1)
    return found | {"sigma_depth": np.where(known, guidance.sigma_measured, guidance.sigma_depth)}


def depth_inputs(estimates: list[Estimate]) -> dict[str, Floats]:
    """Of N estimates what was measured: precision `trust` [N,24] of the pose that was fitted to it, `depths` [N,12] m
    of the limb joints with `depth_weights` [N,12] 1/m; 0 where nothing was."""
    unknown = np.full((len(SMPL_LIMBS), 2), np.inf)
    rows = np.array([unknown if e.depths is None else e.depths for e in estimates]).reshape(-1, len(SMPL_LIMBS), 2)
    sigma = rows[..., 1]
    known = np.isfinite(sigma)
    joints = np.array([e.joints for e in estimates]).reshape(-1, 24, 3)
    return {
        "trust": pose_precision(sigma, joints), "depths": np.where(known, rows[..., 0], 0.0),
        "depth_weights": 1 / sigma,
    }  # fmt: skip


def pose_precision(sigma: Floats, joints: Floats) -> Floats:
    """Precision [N,24] of the six numbers of each local rotation of a pose that was fitted to limb joints [N,24,3] m
    with depths of `sigma` [N,12] m (inf: unknown); 0 where nothing that was measured tells of it.

    A bone of length L with sigma a and b at its ends is turned by sqrt(a^2 + b^2) / L at one standard deviation; a turn
    w moves the six numbers by 4/3 w^2.
    """
    variance = sigma**2 + _ACROSS_M**2
    limbs = joints[:, SMPL_LIMBS]
    length2 = np.square(limbs[:, _END] - limbs[:, _START]).sum(-1)
    precision = np.zeros(joints.shape[:2])
    precision[:, _TURNED] = 0.75 * length2 / (variance[:, _START] + variance[:, _END])
    precision[:, _TRUNK_JOINTS] = (0.75 * _TRUNK_M**2 / variance[:, _TRUNK].sum(1))[:, None]
    return precision
