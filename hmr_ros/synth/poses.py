"""Poses to train on.

Recorded motion files; poses that widen them (limbs of other frames, procedural limbs, joint noise); a sampler of single
poses and of pieces of motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import SMPL, SMPL_JOINTS, SMPL_MIRRORED
from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import load_arrays, smpl_motion
from hmr_ros.synth.procedural import pose_limbs, sit, stand
from hmr_ros.types import Bools, Floats, Ints

# limbs that may come from another frame; recorded motion has far fewer combinations of them than people do
_LIMBS = {
    "left_arm": [SMPL[f"left_{part}"] for part in ("collar", "shoulder", "elbow", "wrist", "hand")],
    "right_arm": [SMPL[f"right_{part}"] for part in ("collar", "shoulder", "elbow", "wrist", "hand")],
    "trunk": [SMPL[part] for part in ("spine1", "spine2", "spine3", "neck", "head")],
    "left_leg": [SMPL[f"left_{part}"] for part in ("hip", "knee", "ankle", "foot")],
    "right_leg": [SMPL[f"right_{part}"] for part in ("hip", "knee", "ankle", "foot")],
}
_SWAPS = {"left_arm": 0.5, "right_arm": 0.5, "trunk": 0.5, "left_leg": 0.3, "right_leg": 0.3}
# standard deviation [deg] of the noise on every joint: small where motion capture is good, wide where it is blind
_NOISE_DEG = {
    "left_collar": 6, "right_collar": 6, "head": 10, "neck": 8, "left_wrist": 20, "right_wrist": 20,
    "left_ankle": 8, "right_ankle": 8, "left_shoulder": 8, "right_shoulder": 8,
}  # fmt: skip
_DEFAULT_NOISE_DEG = 4
_PROCEDURAL_SHARE = 0.45  # of the limbs of a person with procedural ones
_STANDING_SHARE = 0.3  # of these people on bent legs
# rare in recorded motion: trunks that lean farther from upright than this, and both thighs lifted by more than that
_RARE_LEAN_DEG, _RARE_LIFT_DEG, _RARE_WEIGHT = 50.0, 55.0, 10.0


@dataclass(frozen=True)
class Recorded:
    """Frames of motion files with the bad ones left out."""

    poses: Floats  # [F,24,3] rad, y up
    clip: Ints  # [F]
    trans: Floats  # [F,3] m
    frame: Ints  # [F] place in the file; neighbours in time differ by one

    @cached_property
    def _cumulative(self) -> tuple[Floats, Floats]:
        _, inverse, counts = np.unique(self.clip, return_inverse=True, return_counts=True)
        weight = counts[inverse] ** -0.5  # long clips (half of the data is one dance) count less
        return np.cumsum(weight), np.cumsum(weight * np.where(rare(self.poses), _RARE_WEIGHT, 1.0))

    def follows(self, first: int, length: int) -> bool:
        """Whether `length` frames from `first` on are one unbroken piece of motion."""
        last = first + length - 1
        if last >= len(self.frame):
            return False
        return bool(self.clip[first] == self.clip[last] and self.frame[last] - self.frame[first] == length - 1)

    def draw(self, count: int, rng: np.random.Generator, *, widely: bool = False) -> Ints:
        """Indices [count] of frames; every clip has a say. `widely`: rare postures ten times as often."""
        cumulative = self._cumulative[int(widely)]
        at = np.searchsorted(cumulative, rng.random(count) * cumulative[-1])
        return np.minimum(at, len(self.poses) - 1)


def rare(poses: Floats) -> Bools:
    """Which of the poses [F,24,3] lie, crawl, are upside down, bend far over, sit or squat."""
    R = matrix_from_axis_angle(poses[:, [0, SMPL["left_hip"], SMPL["right_hip"]]])
    lean = R[:, 0, 1, 1] < np.cos(np.radians(_RARE_LEAN_DEG))
    lifted = (R[:, 1:, 1, 1] < np.cos(np.radians(_RARE_LIFT_DEG))) & (R[:, 1:, 2, 1] < 0)  # thighs to the front
    return np.asarray(lean | lifted.all(1))


def load_recorded(*paths: Path) -> Recorded:
    """Motion files (`_load_one`) as one; clips of different files stay different clips."""
    parts = [_load_one(path) for path in paths]
    clips, frames, clip_at, frame_at = [], [], 0, 0
    for part in parts:
        clips.append(part.clip - part.clip.min() + clip_at)
        frames.append(part.frame + frame_at)
        clip_at, frame_at = int(clips[-1].max()) + 1, int(frames[-1].max()) + 2
    poses, trans = (np.concatenate([getattr(p, name) for p in parts]) for name in ("poses", "trans"))
    return Recorded(poses, np.concatenate(clips), trans, np.concatenate(frames))


def _load_one(path: Path) -> Recorded:
    """Read poses [F,72], and where present clip_id [F] and bad_frame [F], of a motion file (AMASS keys do as well)."""
    arrays = load_arrays(path)
    if "poses" not in arrays or arrays["poses"].ndim != 2 or arrays["poses"].shape[1] < 66:
        raise InputError(f"{path} has no 'poses' [F,72]; give a motion file in SMPL form (axis-angle)")
    poses = arrays["poses"].astype(np.float64)
    trans = arrays["trans"].astype(np.float64) if "trans" in arrays else np.zeros((len(poses), 3))
    with np.errstate(invalid="ignore"):  # NaN is sorted out below
        full, trans = smpl_motion(arrays, poses, trans)
    bad = arrays["bad_frame"].astype(bool) if "bad_frame" in arrays else np.zeros(len(poses), bool)
    good = ~bad & np.isfinite(full).all(1)
    if not good.any():
        raise InputError(f"{path} has no usable frame")
    clip = arrays["clip_id"].astype(np.int64) if "clip_id" in arrays else np.zeros(len(poses), np.int64)
    return Recorded(full[good].reshape(-1, 24, 3), clip[good], trans[good], np.flatnonzero(good))


def widened(recorded: Recorded, count: int, rng: np.random.Generator) -> Floats:
    """`count` poses [count,24,3] on the base of recorded ones, rare ones often: a fifth as they are, the others with
    limbs of other frames and joint noise, half of all with procedural limbs as well, some of these on bent legs."""
    poses = recorded.poses[recorded.draw(count, rng, widely=True)].copy()
    changed = rng.random(count) < 0.8
    for limb, joints in _LIMBS.items():
        rows = np.flatnonzero(changed & (rng.random(count) < _SWAPS[limb]))
        others = recorded.poses[recorded.draw(len(rows), rng, widely=True)]
        poses[rows[:, None], joints] = others[:, joints]
    rotations = matrix_from_axis_angle(poses)
    rows = np.flatnonzero(changed)
    rotations[rows] = rotations[rows] @ matrix_from_axis_angle(1.3 * _joint_noise(len(rows), rng))
    half = rotations[: count // 2]
    pose_limbs(half, 0.6, rng)
    stand(half, np.flatnonzero(rng.random(len(half)) < _STANDING_SHARE), rng)
    return axis_angle_from_matrix(rotations)


def _joint_noise(count: int, rng: np.random.Generator) -> Floats:
    """Rotation vectors [count,24,3] of joint noise; pelvis and hands stay."""
    sigma = np.array([_NOISE_DEG.get(name, _DEFAULT_NOISE_DEG) for name in SMPL_JOINTS], np.float64)
    noise = np.radians(rng.normal(0.0, sigma[:, None], (count, 24, 3)))
    noise[:, [0, SMPL["left_hand"], SMPL["right_hand"]]] = 0.0
    return noise


def mirror(poses: Floats) -> Floats:
    """Poses [...,24,3] reflected at the body's x = 0 plane: left and right change places."""
    return poses[..., SMPL_MIRRORED, :] * np.array([1.0, -1.0, -1.0])


class PoseSampler:
    """Draws poses of the whole body, pelvis included (turned in the y-up world)."""

    def __init__(self, recorded: Recorded, rng: np.random.Generator, rare_share: float = 0.0) -> None:
        """`rare_share` of the single poses are drawn with rare ones ten times as often."""
        self._recorded, self._rng, self._rare_share = recorded, rng, rare_share

    def plain(self) -> Floats:
        """One recorded pose [24,3]."""
        widely = bool(self._rare_share) and bool(self._rng.random() < self._rare_share)
        pose = self._recorded.poses[self._recorded.draw(1, self._rng, widely=widely)[0]].copy()
        return mirror(pose) if self._rng.random() < 0.5 else pose

    def _recombined(self, poses: Floats, draw: Callable[[], Floats]) -> None:
        """Some limbs of `poses` [...,24,3] from other pieces, in place."""
        for limb, joints in _LIMBS.items():
            if self._rng.random() < _SWAPS[limb]:
                poses[..., joints, :] = draw()[..., joints, :]

    def augmented(self) -> Floats:
        """One pose [24,3]: recorded, mixed of two, or partly procedural, always with joint noise."""
        rng, pose = self._rng, self.plain()
        if rng.random() < 0.5:
            self._recombined(pose, self.plain)
        if rng.random() < 0.6:
            rotations = matrix_from_axis_angle(pose)[None]
            kind = rng.random()  # limbs alone, with bent legs below them, bent legs alone, sitting
            if kind < 0.6:
                pose_limbs(rotations, _PROCEDURAL_SHARE, rng)
            if kind > 0.8:
                sit(rotations, np.array([0]), rng)
            elif kind > 0.45:
                stand(rotations, np.array([0]), rng)
            pose = axis_angle_from_matrix(rotations[0])
        return self._shaken(pose)

    def motion(self, frames: int, plain: bool, time_scale: int = 1) -> tuple[Floats, Floats, int]:
        """A piece of motion: poses [frames,24,3], trans [frames,3] m, and how many recorded frames one step is.

        With a `time_scale` n people move n times as fast as they were recorded. Not plain: limbs of other pieces,
        limbs that move alike about another posture or on bent legs, sitting legs, and joint noise that stays the same
        throughout.
        """
        rng = self._rng
        step = 1 if rng.random() < 0.75 else 2
        stride = step * time_scale
        poses, trans = self._piece(frames, stride, widely=not plain)
        if plain:
            return poses, trans, step
        if rng.random() < 0.7:
            self._recombined(poses, lambda: self._piece(frames, stride, widely=True)[0])
        if rng.random() < 0.5:
            standing = rng.random() < _STANDING_SHARE
            poses = self._relocated(poses, standing)
        if rng.random() < 0.15:
            seated = matrix_from_axis_angle(poses[:1])
            sit(seated, np.array([0]), rng)
            sitting = axis_angle_from_matrix(seated[0])
            legs = [SMPL[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle")]
            poses[:, legs] = sitting[legs]
        return self._shaken(poses), trans, step

    def _piece(self, frames: int, step: int, *, widely: bool) -> tuple[Floats, Floats]:
        recorded, length = self._recorded, (frames - 1) * step + 1
        while True:
            first = int(recorded.draw(1, self._rng, widely=widely)[0])
            if recorded.follows(first, length):
                break
        poses, trans = (a[first : first + length : step].copy() for a in (recorded.poses, recorded.trans))
        if self._rng.random() < 0.5:
            return mirror(poses), trans * [-1.0, 1.0, 1.0]
        return poses, trans

    def _relocated(self, poses: Floats, standing: bool) -> Floats:
        """Motion [frames,24,3] whose limbs do the same about another posture within their limits, or on bent legs."""
        rotations = matrix_from_axis_angle(poses)
        middle = rotations[[len(rotations) // 2]]
        other = middle.copy()
        pose_limbs(other, _PROCEDURAL_SHARE, self._rng)
        if standing:
            stand(other, np.array([0]), self._rng)
        return axis_angle_from_matrix(other @ np.swapaxes(middle, -1, -2) @ rotations)

    def _shaken(self, poses: Floats) -> Floats:
        """Poses [...,24,3], all turned by the same joint noise."""
        noise = _joint_noise(1, self._rng)[0]
        return axis_angle_from_matrix(matrix_from_axis_angle(poses) @ matrix_from_axis_angle(noise))
