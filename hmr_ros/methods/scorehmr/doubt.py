"""How far what is known of a person contradicts itself, and what that means for the uncertainty of the joints.

Errors of joints have heavier tails than any one scale allows: a limb is nearly right, or leans the wrong way. Where it
does, landmarks, recovery and refinement tend to disagree, so the tails are told apart by what they disagree about.
"""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.evidence.record import Evidence
from hmr_ros.methods.contract import Estimate
from hmr_ros.methods.uncertainty import by_joint
from hmr_ros.types import Floats

_LEAST_M, _LEAST_DISAGREEMENT_M = 0.005, 0.02
_PARENTS = np.maximum(SMPL_PARENTS, 0)
_HIPS, _SHOULDERS = (
    tuple(LIMB_JOINTS.index(f"{side}_{joint}") for side in ("left", "right")) for joint in ("hip", "shoulder")
)


def _limb_rows() -> Floats:
    """[24] row of LIMB_JOINTS of each joint, of a hand or foot that of its wrist or ankle; -1 for the trunk."""
    place = {int(j): k for k, j in enumerate(SMPL_LIMBS)}
    found = np.full(len(SMPL_PARENTS), -1)
    for joint, parent in enumerate(SMPL_PARENTS):
        found[joint] = place.get(joint, found[parent] if parent > 0 else -1)
    return found


_ROW = _limb_rows()
_PARENT_ROW = np.where(np.arange(len(_ROW)) > 0, _ROW[_PARENTS], -1)

# logarithm of the factor of sigma for one unit of each, and a factor for each joint group; from benchmarks/doubt.py on
# rendered motion of people that no network was trained on
FEATURES: dict[str, float] = {
    "recovered sigma": -0.276, "confidence": -0.086, "confidence of the parent": -0.418, "landmark apart": -0.080,
    "landmark apart in depth": -0.078, "lean": 0.075, "lean of the parent": 0.041, "landmark beside": 0.035,
    "moved by refinement": 0.075, "mean confidence": 0.047, "least confidence": 0.214, "mean apart": 0.079,
    "mean beside": 0.504, "twist of the hips": 0.104, "twist of the shoulders": 0.530,
}  # fmt: skip
_GROUPS: dict[str, float] = {
    "trunk": 1.902, "head": 1.945, "shoulders": 1.744, "elbows": 3.475, "hands": 3.266, "knees": 3.906, "feet": 4.763,
}  # fmt: skip


def doubt_features(evidence: Evidence, recovered: Estimate, refined: Estimate) -> Floats:
    """[24,15], as named in `FEATURES`, of one person; distances as logarithms. Does not read the covariance of
    `refined`."""
    return _features([evidence], [recovered], recovered.joint_sigma[None], refined.joints[None])[0]


def _features(evidence: list[Evidence], recovered: list[Estimate], sigma: Floats, at: Floats) -> Floats:
    """The same [N,24,15] of N people; `sigma` [N,24] m as recovered, `at` [N,24,3] m the refined joints."""
    joints = at - at[:, :1]
    seen = np.array([e.keypoints[BLAZEPOSE_LIMBS] for e in evidence])
    limbs = joints[:, SMPL_LIMBS]
    limbs = limbs - limbs[:, :2].mean(1, keepdims=True)
    space = seen[..., 3:]
    off = np.abs(space - space[:, :2].mean(1, keepdims=True) - limbs)  # [N,12,3] m, of the landmarks in space
    apart = _length(off)
    placed = at[:, SMPL_LIMBS]
    rays = np.array([e.rays[BLAZEPOSE_LIMBS] for e in evidence])
    beside = _length(placed[..., :2] / placed[..., 2:] - rays) * placed[..., 2]
    bone = joints - joints[:, _PARENTS]
    lean = np.abs(bone[..., 2]) / np.maximum(_length(bone), 1e-6)
    before = np.array([e.joints for e in recovered])
    moved = _length(joints - before + before[:, :1])
    confidence = seen[..., 2]
    person = [
        confidence.mean(1), confidence.min(1), np.log(apart.mean(1) + _LEAST_M), np.log(beside.mean(1) + _LEAST_M),
        _twist(limbs, _HIPS), _twist(limbs, _SHOULDERS),
    ]  # fmt: skip
    spread = np.zeros((4, len(at), len(SMPL_LIMBS) + 1))  # row -1 stays zero: of joints that are no limbs
    spread[0, :, :-1] = confidence
    spread[1:3, :, :-1] = np.log(np.array([apart, off[..., 2]]) + _LEAST_DISAGREEMENT_M)
    spread[3, :, :-1] = np.log(beside + _LEAST_M)
    own = spread[..., _ROW]  # [4,N,24]
    columns = np.empty((len(FEATURES), *sigma.shape))
    columns[0] = np.log(np.maximum(sigma, _LEAST_M))
    columns[1], columns[2] = own[0], spread[0][:, _PARENT_ROW]
    columns[3:5] = own[1:3]
    columns[5], columns[6] = lean, lean[:, _PARENTS]
    columns[7], columns[8] = own[3], np.log(moved + _LEAST_M)
    columns[9:] = np.array(person)[..., None]
    return np.asarray(columns.transpose(1, 2, 0))


def doubt(evidence: Evidence, recovered: Estimate, refined: Estimate) -> Floats:
    """Factor [24] of the standard deviation of each joint of `refined`."""
    return doubts([evidence], [recovered], recovered.joint_sigma[None], refined.joints[None])[0]


def doubts(evidence: list[Evidence], recovered: list[Estimate], sigma: Floats, joints: Floats) -> Floats:
    """The same [N,24] of N people: `sigma` [N,24] m of the joints as recovered, refined `joints` [N,24,3] m."""
    features = _features(evidence, recovered, sigma, joints)
    return np.asarray(np.clip(_GROUP * np.exp(features @ _WEIGHTS), *_BOUNDS))


def _length(x: Floats) -> Floats:
    return np.asarray(np.sqrt((x * x).sum(-1)))


def _twist(limbs: Floats, pair: tuple[int, ...]) -> Floats:
    """How far [N] m one of both lies nearer than the other: a trunk that is seen from the side."""
    return np.asarray(np.abs(limbs[:, pair[0], 2] - limbs[:, pair[1], 2]))


_BOUNDS = (0.3, 3.0)
_WEIGHTS = np.array(list(FEATURES.values()))
_GROUP = by_joint(_GROUPS)
