"""A leg that ends elsewhere: hip and knee turn so that the ankle comes to a target, the foot keeps its direction."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.rotations import matrix_from_axis_angle, rotation_between
from hmr_ros.types import Floats

LEGS = tuple(tuple(SMPL[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")) for side in ("left", "right"))
_PELVIS = SMPL["pelvis"]
_REACH = 0.995  # of a stretched leg


def reached(rotations: Floats, axes: Floats, joints: Floats, leg: tuple[int, ...], target: Floats) -> Floats:
    """Local `rotations` [24,3,3] with the ankle of `leg` at `target` [3] m, as near as a leg so long can come.

    `axes` [24,3,3] are those of the bones and `joints` [24,3] m where they are, both in the frame of `target`. The knee
    stays in its plane.
    """
    hip, knee, ankle = leg
    a, b, c = joints[hip], joints[knee], joints[ankle]
    thigh, shank = float(np.linalg.norm(b - a)), float(np.linalg.norm(c - b))
    way = target - a
    length = float(np.linalg.norm(way))
    if length < 1e-6 or min(thigh, shank) < 1e-6:
        return rotations
    length = float(np.clip(length, abs(thigh - shank) + 1e-3, _REACH * (thigh + shank)))
    bend = np.cross(b - a, c - b)  # axis of the knee
    if np.linalg.norm(bend) < 1e-4 * thigh * shank:
        bend = axes[hip][:, 0] * thigh * shank  # stretched: knees bend about the body's left-right axis
    bend /= np.linalg.norm(bend)
    now = _inner_angle(thigh, shank, float(np.linalg.norm(c - a)))
    turn_knee = matrix_from_axis_angle(bend * (now - _inner_angle(thigh, shank, length)))
    shin = turn_knee @ (c - b)
    turn_hip = rotation_between(b + shin - a, way)
    new = rotations.copy()
    parent = axes[_PELVIS]
    thigh_axes = turn_hip @ axes[hip]
    shank_axes = turn_hip @ turn_knee @ axes[knee]
    new[hip] = parent.T @ thigh_axes
    new[knee] = thigh_axes.T @ shank_axes
    new[ankle] = shank_axes.T @ axes[ankle]
    return new


def _inner_angle(thigh: float, shank: float, length: float) -> float:
    """Angle [rad] at the knee of a triangle with these sides."""
    return float(np.arccos(np.clip((thigh**2 + shank**2 - length**2) / (2 * thigh * shank), -1, 1)))
