"""The calibration of a mesh by target joints: bone by bone a rotation, a translation and a non-rigid rest (PC-HMR).

Equation numbers are the paper's. A bone is named by its child joint, so bone i joins SMPL_PARENTS[i] and i; bone 0 is
the trunk's own motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.body.joints import SMPL, SMPL_LEVELS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.geometry.rotations import nearest_rotation, skew
from hmr_ros.methods.pchmr.blend import Blend
from hmr_ros.methods.pchmr.targets import Targets
from hmr_ros.types import Floats

_STRAIGHT = 1e-9
_TRUNK = [SMPL[n] for n in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")]
_BONES = len(SMPL_PARENTS)
_HOLD = 1e-9  # of no turn, where the targets leave it open


@dataclass(frozen=True)
class BoneMotion:
    """How the bones of N people move to their targets."""

    rotation: Floats  # [N,24,3,3], Psi of Eq. 7
    translation: Floats  # [N,24,3] m, T of Eq. 8
    rest: Floats  # [N,24,3] m, Delta of Eq. 10
    joints: Floats  # [N,24,3] m, all target joints; those without a target as their parent's bone carries them


def rotations_between(a: Floats, b: Floats) -> Floats:
    """Shortest rotations [...,3,3] that take the directions of `a` [...,3] to those of `b` (Eq. 6-7; sine and cosine of
    the angle are the cross and dot product). Half a turn goes about any axis across; no direction, no turn."""
    length = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    known = length > _STRAIGHT
    safe = np.where(known, length, 1.0)
    u = np.where(known, a, 0.0) / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), _STRAIGHT)
    sine_axis, cosine = np.cross(a, b) / safe, (a * b).sum(-1, keepdims=True) / safe
    cosine = np.where(known, np.clip(cosine, -1.0, 1.0), 1.0)
    sine = np.linalg.norm(sine_axis, axis=-1, keepdims=True)
    across = np.cross(u, np.eye(3)[np.abs(u).argmin(-1)])
    across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), _STRAIGHT)
    axis = np.where(sine > _STRAIGHT, sine_axis / np.maximum(sine, _STRAIGHT), across)
    c, s = cosine[..., None], np.where(sine > _STRAIGHT, sine, 0.0)[..., None]
    return np.asarray(c * np.eye(3) + (1 - c) * axis[..., :, None] * axis[..., None, :] + s * skew(axis))


def bone_motion(joints: Floats, targets: Floats) -> BoneMotion:
    """From recovered joints [N,24,3] m to `targets` [N,24,3] m, NaN where there is none.

    The trunk's bone is laid on the hips' and shoulders' targets as a whole. Every other bone is turned from where its
    parent's bone carries it to its target (Eq. 6-7), so that a rigid motion of all targets moves all points alike. A
    joint without a target goes with its parent's bone, and so does its own bone.
    """
    N = len(joints)
    R, T = np.empty((N, _BONES, 3, 3)), np.empty((N, _BONES, 3))
    goal = np.empty_like(joints)
    R[:, 0], T[:, 0] = rigid_motion(joints[:, _TRUNK], targets[:, _TRUNK])
    goal[:, 0] = _carried(R[:, 0], joints[:, 0]) + T[:, 0]
    for level in SMPL_LEVELS[1:]:
        up = SMPL_PARENTS[level]
        offset = joints[:, level] - joints[:, up]
        carried = goal[:, up] + _carried(R[:, up], offset)
        known = np.isfinite(targets[:, level]).all(-1, keepdims=True)
        goal[:, level] = np.where(known, targets[:, level], carried)
        swing = rotations_between(carried - goal[:, up], goal[:, level] - goal[:, up])
        R[:, level] = swing @ R[:, up]
        T[:, level] = goal[:, up] - _carried(R[:, level], joints[:, up])  # Eq. 8
    reached = _carried(R, joints) + T  # Eq. 9
    rest = goal - reached  # Eq. 10
    return BoneMotion(R, T, rest, goal)


def rigid_motion(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Rotation [N,3,3] and translation [N,3] m that lay the joints [N,J,3] on `target`, NaN where unknown; fewer than
    three known: moved without a turn; none: not moved."""
    known = np.asarray(np.isfinite(target).all(-1))
    weight = known[..., None] / np.maximum(known.sum(1), 1)[:, None, None]
    filled = np.where(known[..., None], target, 0.0)
    mean_s, mean_t = (weight * source).sum(1), (weight * filled).sum(1)
    s, t = (source - mean_s[:, None]) * known[..., None], (filled - mean_t[:, None]) * known[..., None]
    covariance = np.swapaxes(t, 1, 2) @ s
    size = np.trace(np.swapaxes(s, 1, 2) @ s, axis1=1, axis2=2)[:, None, None]
    R = nearest_rotation(covariance + _HOLD * (size + 1e-9) * np.eye(3))
    count = known.sum(1)
    R = np.where((count >= 3)[:, None, None], R, np.eye(3))
    return R, np.where((count > 0)[:, None], mean_t - _carried(R, mean_s), 0.0)


def calibrated(points: Floats, motion: BoneMotion, blend: Blend, rigid: bool = False) -> Floats:
    """Points [N,P,3] m of the recovered bodies moved with their bones (Eq. 12-13); `rigid` leaves Delta out."""
    turned = np.einsum("pi,niab,npb->npa", blend.A, motion.rotation, points, optimize=True)
    moved = turned + blend.A @ motion.translation
    return moved if rigid else moved + (blend.A * blend.W) @ motion.rest


def all_targets(targets: Targets) -> Floats:
    """[N,24,3] m, NaN where there is no target."""
    every = np.full((len(targets.points), _BONES, 3), np.nan)
    every[:, SMPL_LIMBS] = targets.points
    return every


def _carried(R: Floats, v: Floats) -> Floats:
    return np.asarray((R @ v[..., None])[..., 0])
