"""Procedural poses: limbs within the limits of their joints, people who sit, and people who stand on bent legs."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import Floats, Ints

# limits [deg] about x, y, z for the left side; the right side is their mirror image
_LIMITS_DEG = {
    "hip": ((-125, 30), (-60, 45), (-25, 70)),
    "knee": ((0, 150), (-10, 10), (-5, 5)),
    "ankle": ((-25, 40), (-20, 20), (-15, 15)),
    "shoulder": ((-80, 80), (-120, 50), (-95, 95)),
    "elbow": ((-90, 60), (-150, 0), (-5, 5)),
    "wrist": ((-40, 40), (-30, 30), (-50, 50)),
}  # fmt: skip
_SPINE_DEG = ((-12, 30), (-18, 18), (-16, 16))
_SPINE = ("spine1", "spine2", "spine3")
# people on bent legs: height of the hips in lengths of the legs; how far knees point outwards (least, likeliest,
# most) and legs are apart [deg]; legs in the air
_HIP_HEIGHT, _OUT_DEG, _APART_DEG = (0.55, 1.0), (-10.0, 15.0, 85.0), (-8.0, 45.0)
_LIFTED_SHARE, _LIFTED_REACH, _LIFTED_DEG = 0.25, (0.4, 1.0), (-25.0, 100.0)
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_CHAINS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))


def pose_limbs(rotations: Floats, share: float, rng: np.random.Generator) -> None:
    """Pose `share` of the arms, legs and spines of `rotations` [N,24,3,3] anew, in place."""
    count = len(rotations)
    for side in ("left", "right"):
        for chain in _CHAINS:
            rows = np.flatnonzero(rng.random(count) < share)
            for name in chain:
                rotations[rows, SMPL[f"{side}_{name}"]] = limb(name, side, len(rows), rng)
    rows = np.flatnonzero(rng.random(count) < share)
    for name in _SPINE:
        rotations[rows, SMPL[name]] = _turns(_within(_SPINE_DEG, len(rows), rng))


def sit(rotations: Floats, rows: Ints, rng: np.random.Generator) -> None:
    """Sitting and squatting people in `rows` of `rotations` [N,24,3,3], in place: both legs nearly alike."""
    count = len(rows)
    hip, knee = rng.uniform(50, 125, count), rng.uniform(30, 145, count)
    zero = np.zeros(count)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        flex, apart = hip + rng.normal(0, 10, count), rng.uniform(-5, 35, count)
        bend = np.clip(knee + rng.normal(0, 12, count), 0, 150)
        rotations[rows, SMPL[f"{side}_hip"]] = _turns(np.stack([-flex, rng.normal(0, 8, count), sign * apart], 1))
        rotations[rows, SMPL[f"{side}_knee"]] = _turns(np.stack([bend, zero, zero], 1))
        rotations[rows, SMPL[f"{side}_ankle"]] = limb("ankle", side, count, rng)


def stand(rotations: Floats, rows: Ints, rng: np.random.Generator) -> None:
    """People on bent legs in `rows` of `rotations` [N,24,3,3], in place: squats, lunges, wide stances, a leg lifted.

    Knees go to the front or to the side; the latter, as in dance and martial arts, recorded motion hardly has.
    """
    count = len(rows)
    low, out = rng.uniform(*_HIP_HEIGHT, count), rng.triangular(*_OUT_DEG, count)
    lifted = np.where(rng.random(count) < _LIFTED_SHARE, rng.integers(0, 2, count), -1)
    for number, side in enumerate(("left", "right")):
        up = lifted == number
        reach = np.where(up, rng.uniform(*_LIFTED_REACH, count), low + rng.normal(0, 0.05, count)).clip(0.35, 0.998)
        forward = np.where(up, rng.uniform(*_LIFTED_DEG, count), rng.normal(0, 15, count))
        apart, turned = rng.uniform(*_APART_DEG, count), out + rng.normal(0, 20, count)
        hip, knee = _leg(reach, np.radians(forward), np.radians(apart), np.radians(turned))
        if side == "right":
            hip, knee = _MIRROR @ hip @ _MIRROR, _MIRROR @ knee @ _MIRROR
        rotations[rows, SMPL[f"{side}_hip"]], rotations[rows, SMPL[f"{side}_knee"]] = hip, knee
        rotations[rows, SMPL[f"{side}_ankle"]] = limb("ankle", side, count, rng)


def _leg(reach: Floats, forward: Floats, apart: Floats, turned: Floats) -> tuple[Floats, Floats]:
    """Left hip and knee [N,3,3] that bring the ankle to a share `reach` [N] of the leg's length below the hip, in a
    direction `forward` and `apart` [N] rad of straight down, the knee `turned` [N] rad outwards from the front."""
    half = np.arccos(reach)  # thigh and shin are about as long
    # the plane of a bent leg, turned as a whole: about its length, then outwards, then forwards
    plane = _about(0, -forward) @ _about(2, apart) @ _about(1, turned)
    return plane @ _about(0, -half), _about(0, 2 * half)


def _about(axis: int, angle: Floats) -> Floats:
    """Rotations [N,3,3] by `angle` [N] rad about x, y or z."""
    return matrix_from_axis_angle(angle[:, None] * np.eye(3)[axis])


def limb(name: str, side: str, count: int, rng: np.random.Generator) -> Floats:
    """Rotations [count,3,3] of one joint within its limits."""
    degrees = _within(_LIMITS_DEG[name], count, rng)
    if name == "knee":  # straight ones more often
        degrees[:, 0] *= np.sqrt(rng.random(count))
    return _turns(degrees if side == "left" else degrees * [1.0, -1.0, -1.0])


def _within(limits: tuple[tuple[int, int], ...], count: int, rng: np.random.Generator) -> Floats:
    low, high = np.array(limits, np.float64).T
    return rng.uniform(low, high, (count, 3))


def _turns(degrees: Floats) -> Floats:
    """Turns [N,3] about x, y, z -> [N,3,3]: about x first, then z, then y of the limb's parent."""
    x, y, z = (matrix_from_axis_angle(np.radians(degrees[:, [i]]) * np.eye(3)[i]) for i in range(3))
    return np.asarray(y @ z @ x)
