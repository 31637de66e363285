"""A short procedural motion in SMPL form: walking a circle, waving, squatting, raising the arms; it loops."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import Motion
from hmr_ros.types import Floats

LOOP_S = 10.0
_WALK_S = 4.0
_CIRCLE_M = 0.4  # radius of the walk
_STEPS = 3.0  # strides in one walk, whole so that the loop closes
_THIGH_M, _SHANK_M = 0.38, 0.40


def demo_motion(fps: float = 30.0) -> Motion:
    """Ten seconds of motion; y up, the person starts facing +z, pelvis about 0.9 m above the ground at y = 0."""
    times = np.arange(round(LOOP_S * fps)) / fps
    poses = np.zeros((len(times), 24, 3))
    walk, wave = _window(times, 0.0, _WALK_S), _window(times, _WALK_S, 6.0)
    squat, raised = _window(times, 6.0, 8.0), _window(times, 8.0, LOOP_S)
    _arms_down(poses)
    _walk(poses, walk, times)
    _wave(poses, wave, times)
    bend = _squat(poses, squat)
    _raise_arms(poses, raised)
    yaw = 2 * np.pi * _smooth(np.clip(times / _WALK_S, 0, 1))
    poses[:, 0] = axis_angle_from_matrix(
        matrix_from_axis_angle(yaw[:, None] * np.array([0.0, 1.0, 0.0])) @ matrix_from_axis_angle(poses[:, 0])
    )
    trans = np.stack([_CIRCLE_M * (1 - np.cos(yaw)), 0.9 - _drop(bend), _CIRCLE_M * np.sin(yaw)], -1)
    return Motion(poses.reshape(len(times), 72), trans, np.zeros(10), fps)


def _arms_down(poses: Floats) -> None:
    _set(poses, "left_shoulder", (0.0, 0.0, -1.15))
    _set(poses, "right_shoulder", (0.0, 0.0, 1.15))
    _set(poses, "left_elbow", (0.0, -0.25, 0.0))
    _set(poses, "right_elbow", (0.0, 0.25, 0.0))


def _walk(poses: Floats, weight: Floats, times: Floats) -> None:
    phase = 2 * np.pi * _STEPS * np.clip(times / _WALK_S, 0, 1)
    for side, shift in (("left", 0.0), ("right", np.pi)):
        swing = np.sin(phase + shift) * weight
        lift = np.clip(np.cos(phase + shift), 0, None) ** 2 * weight
        _add(poses, f"{side}_hip", 0, -0.45 * swing - 0.25 * lift)
        _add(poses, f"{side}_knee", 0, 0.9 * lift + 0.1 * weight)
        _add(poses, f"{side}_ankle", 0, -0.15 * lift)
        _add(poses, f"{side}_shoulder", 0, 0.4 * swing)
    _add(poses, "spine2", 1, 0.12 * np.sin(phase) * weight)


def _wave(poses: Floats, weight: Floats, times: Floats) -> None:
    _add(poses, "right_shoulder", 2, -1.7 * weight)
    _add(poses, "right_elbow", 1, 0.9 * weight)
    _add(poses, "right_elbow", 2, 0.5 * np.sin(2 * np.pi * 2.0 * times) * weight - 0.6 * weight)
    _add(poses, "head", 1, -0.2 * weight)


def _squat(poses: Floats, weight: Floats) -> Floats:
    """Bends the legs by up to 65 degrees at the hips; returns the bend of the thigh [F] rad."""
    bend = 1.15 * weight
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _add(poses, f"{side}_hip", 0, -1.5 * bend)
        _add(poses, f"{side}_hip", 2, 0.25 * sign * weight)
        _add(poses, f"{side}_knee", 0, 1.75 * bend)
        _add(poses, f"{side}_ankle", 0, -0.75 * bend)
        _add(poses, f"{side}_shoulder", 1, -0.9 * sign * weight)
        _add(poses, f"{side}_shoulder", 2, 0.9 * sign * weight)
    _add(poses, "pelvis", 0, 0.5 * bend)
    return bend


def _raise_arms(poses: Floats, weight: Floats) -> None:
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _add(poses, f"{side}_collar", 2, 0.3 * sign * weight)
        _add(poses, f"{side}_shoulder", 2, 1.9 * sign * weight)
    _add(poses, "spine1", 2, 0.2 * weight)


def _drop(bend: Floats) -> Floats:
    """How far the pelvis sinks so that the feet stay on the ground: legs as two bones in the sagittal plane."""
    thigh, shank = bend, 0.75 * bend
    return np.asarray(_THIGH_M * (1 - np.cos(thigh)) + _SHANK_M * (1 - np.cos(shank)))


def _window(times: Floats, start: float, end: float, ramp: float = 0.5) -> Floats:
    """1 inside, smooth to 0 at both ends [F]."""
    return _smooth(np.clip((times - start) / ramp, 0, 1)) * _smooth(np.clip((end - times) / ramp, 0, 1))


def _smooth(x: Floats) -> Floats:
    return np.asarray(x * x * (3 - 2 * x))


def _set(poses: Floats, joint: str, value: tuple[float, float, float]) -> None:
    poses[:, SMPL[joint]] = value


def _add(poses: Floats, joint: str, axis: int, value: Floats) -> None:
    poses[:, SMPL[joint], axis] += value
