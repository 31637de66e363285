"""The closed-form recovery: SMPL pose from BlazePose's 3D landmarks by bone directions and anatomy.

The baseline that learned recovery has to beat; selectable as `recover: kinematic`.
"""

from __future__ import annotations

import math

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, SMPL, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import NUM_JOINTS, BodyModel, forward_kinematics, pose_matrices
from hmr_ros.body.shape import betas_from_bone_lengths
from hmr_ros.evidence.record import Evidence
from hmr_ros.geometry.camera import undistort_points
from hmr_ros.geometry.rotations import (
    axis_angle_from_matrix,
    cross,
    fraction_of_rotation,
    frame_from_two_vectors,
    rotation_between,
)
from hmr_ros.methods.contract import Estimate, Parts
from hmr_ros.methods.uncertainty import by_joint, image_covariance
from hmr_ros.types import Camera, Floats, Frame, Track

_HINGE_FALLBACK = 0.15  # weight of the anatomical guess of a hinge axis against sin(bend angle)
_HAND_CONFIDENCE = 0.5  # below: the hand follows the forearm
_LEG_CONFIDENCE = 0.3  # below at knee and ankle: the leg is out of sight
_NOSE_FROM_EARS = np.array([0.0, -0.2, 1.0])  # direction at rest
_MAX_ANGLE_RAD = {  # what these joints can do at most; landmark noise asks for more
    "neck": 0.9, "head": 0.9, "left_wrist": 1.3, "right_wrist": 1.3, "left_ankle": 1.0, "right_ankle": 1.0,
    "spine1": 0.6, "spine2": 0.6, "spine3": 0.6,
}  # fmt: skip
_FRONT, _LEFT = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


# standard deviation an axis of a joint whose landmark has confidence 1 and 0, scaled by joint so that errors have that
# size (benchmarks/uncertainty.py --recover kinematic)
_SIGMA_SEEN_M, _SIGMA_UNSEEN_M = 0.05, 0.20
# so that the 95 % ellipsoids hold 95 % of the joints (benchmarks/uncertainty.py)
_SIGMA_SCALE = by_joint({
    "trunk": 0.81, "head": 1.5, "shoulders": 1.33, "elbows": 1.37, "hands": 1.9, "knees": 1.59, "feet": 2.34,
})  # fmt: skip


class KinematicRecovery:
    """Closed form, no learned part beyond the landmarks; works on any SMPL-format body. Stateless."""

    def __init__(self, body: BodyModel) -> None:
        self._body = body

    def __call__(self, frame: Frame, tracks: list[Track], evidence: list[Evidence]) -> list[Estimate]:
        """See `Recovery`."""
        del evidence
        return [self._recover(frame.camera, track) for track in tracks]

    def reset(self) -> None:
        """Nothing is remembered."""

    def _recover(self, camera: Camera, track: Track) -> Estimate:
        keypoints = track.keypoints
        confidence = keypoints.keypoints_2d[:, 2]
        betas = betas_from_bone_lengths(self._body, track.bone_lengths)
        rest = self._body.rest_joints(betas)
        rotations = pose_matrices(*pose_from_landmarks(keypoints.keypoints_3d, confidence, rest))
        joints = forward_kinematics(rotations, rest)[1]
        transl = _stand(joints, keypoints.keypoints_2d, camera)
        covariance = image_covariance(joint_sigma(confidence), joints + transl)
        return Estimate(rotations, betas, transl, joints + transl, covariance)


def build(parts: Parts) -> KinematicRecovery:
    """`recover: kinematic`."""
    return KinematicRecovery(parts.body)


def pose_from_landmarks(landmarks: Floats, confidence: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """SMPL pose of BlazePose landmarks.

    `landmarks` [33,3] m in camera axes, `confidence` [33], `rest` the body's T-pose joints [24,3] m.
    Returns global_orient [3] (body -> camera) and body_pose [69], axis-angle rad.
    """
    P = {name: landmarks[i] for name, i in BLAZEPOSE.items()}
    R = {name: rest[i] for name, i in SMPL.items()}
    world = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    _pose_trunk(world, P, R)
    _pose_head(world, P)
    for side in ("left", "right"):
        _pose_arm(world, side, P, R, confidence)
        _pose_leg(world, side, P, R, confidence)
    return _local_axis_angles(world)


def _pose_trunk(world: Floats, P: dict[str, Floats], R: dict[str, Floats]) -> None:
    """Pelvis from hips and trunk, chest from trunk and shoulders; the spine shares the turn between them evenly."""
    up = _middle(P, "shoulder") - _middle(P, "hip")
    rest_up = _middle(R, "shoulder") - _middle(R, "hip")
    hips, shoulders = P["left_hip"] - P["right_hip"], P["left_shoulder"] - P["right_shoulder"]
    pelvis = _turn(up, hips, rest_up, _LEFT)
    chest = _turn(up, shoulders, rest_up, _LEFT)
    # hips drop to one side: half of what the hip line says beyond the trunk's own frame
    tilt = _turn(hips, up, _LEFT, rest_up)
    pelvis = pelvis @ fraction_of_rotation(pelvis.T @ tilt, 0.5)
    relative = pelvis.T @ chest
    world[SMPL["pelvis"]] = pelvis
    for k, name in enumerate(("spine1", "spine2", "spine3"), start=1):
        world[SMPL[name]] = pelvis @ fraction_of_rotation(relative, k / 3)
    for name in ("left_collar", "right_collar", "neck", "head"):
        world[SMPL[name]] = world[SMPL["spine3"]]


def _pose_head(world: Floats, P: dict[str, Floats]) -> None:
    """Head from ears and nose; neck and head share the turn."""
    chest = world[SMPL["spine3"]]
    ears = P["left_ear"] - P["right_ear"]
    nose = P["nose"] - _middle(P, "ear")
    head = _turn(ears, nose, _LEFT, _NOSE_FROM_EARS)
    relative = chest.T @ head
    world[SMPL["neck"]] = chest @ fraction_of_rotation(relative, 0.5)
    world[SMPL["head"]] = head


def _pose_arm(world: Floats, side: str, P: dict[str, Floats], R: dict[str, Floats], confidence: Floats) -> None:
    """Shoulder and elbow from the two bones and the hinge axis between them, wrist from the hand's plane."""
    s, e, w, h = (f"{side}_{n}" for n in ("shoulder", "elbow", "wrist", "hand"))
    upper, fore = P[e] - P[s], P[w] - P[e]
    rest_upper, rest_fore = R[e] - R[s], R[w] - R[e]
    rest_hinge = cross(rest_upper, _FRONT)  # a bent elbow brings the forearm to the front
    chest = world[SMPL["spine3"]]
    carried = rotation_between(chest @ rest_upper, upper) @ chest
    hinge = _hinge(upper, fore, carried @ rest_hinge)
    world[SMPL[s]] = _turn(upper, hinge, rest_upper, rest_hinge)
    forearm = _turn(fore, hinge, rest_fore, rest_hinge)
    hand = forearm
    index, pinky = f"{side}_index", f"{side}_pinky"
    if confidence[[BLAZEPOSE[index], BLAZEPOSE[pinky], BLAZEPOSE[w]]].min() > _HAND_CONFIDENCE:
        fingers = (P[index] + P[pinky]) / 2 - P[w]
        hand = _turn(fingers, P[index] - P[pinky], R[h] - R[w], _FRONT)
        # half of the hand's roll about the forearm happens in the forearm
        roll = _twist(forearm.T @ hand, rest_fore)
        forearm = forearm @ fraction_of_rotation(roll, 0.5)
    world[SMPL[e]], world[SMPL[w]], world[SMPL[h]] = forearm, hand, hand


def _pose_leg(world: Floats, side: str, P: dict[str, Floats], R: dict[str, Floats], confidence: Floats) -> None:
    """Hip and knee from the two bones and the hinge axis (the foot decides it when the leg is straight).

    A leg of which nothing is seen stays straight under the pelvis instead of following what the network makes up.
    """
    h, k, a, f = (f"{side}_{n}" for n in ("hip", "knee", "ankle", "foot"))
    if confidence[[BLAZEPOSE[k], BLAZEPOSE[a]]].max() < _LEG_CONFIDENCE:
        world[[SMPL[n] for n in (h, k, a, f)]] = world[SMPL["pelvis"]]
        return
    thigh, shank = P[k] - P[h], P[a] - P[k]
    rest_thigh, rest_shank = R[k] - R[h], R[a] - R[k]
    toes = P[f"{side}_foot_index"] - P[f"{side}_heel"]
    pelvis = world[SMPL["pelvis"]]
    carried = rotation_between(pelvis @ rest_thigh, thigh) @ pelvis
    guess = carried @ _LEFT + _direction(cross(-shank, toes))
    hinge = _hinge(thigh, shank, guess)
    world[SMPL[h]] = _turn(thigh, hinge, rest_thigh, _LEFT)
    world[SMPL[k]] = _turn(shank, hinge, rest_shank, _LEFT)
    rest_toes = R[f] - R[a]
    rest_toes = rest_toes * np.array([1.0, 0.0, 1.0])  # the sole is level at rest
    world[SMPL[a]] = world[SMPL[f]] = _turn(toes, hinge, rest_toes, _LEFT)


def _local_axis_angles(world: Floats) -> tuple[Floats, Floats]:
    local = world.copy()
    local[1:] = np.swapaxes(world[SMPL_PARENTS[1:]], 1, 2) @ world[1:]
    pose = axis_angle_from_matrix(local)
    for name, most in _MAX_ANGLE_RAD.items():
        angle = float(np.linalg.norm(pose[SMPL[name]]))
        pose[SMPL[name]] *= min(1.0, most / max(angle, 1e-9))
    return pose[0], pose[1:].reshape(-1)


def _turn(primary: Floats, secondary: Floats, rest_primary: Floats, rest_secondary: Floats) -> Floats:
    """Rotation [3,3] that takes the first rest vector to the first observed one and the second as near as it can."""
    return frame_from_two_vectors(primary, secondary) @ frame_from_two_vectors(rest_primary, rest_secondary).T


def _hinge(first: Floats, second: Floats, guess: Floats) -> Floats:
    """Axis of the joint between two bones; `guess` decides when the joint is nearly straight."""
    return cross(_direction(first), _direction(second)) + _HINGE_FALLBACK * _direction(guess)


def _twist(rotation: Floats, axis: Floats) -> Floats:
    """The part [3,3] of a rotation that turns about `axis` (swing-twist decomposition)."""
    return rotation_between(rotation @ axis, axis) @ rotation


def _direction(v: Floats) -> Floats:
    return v / max(math.hypot(*v.tolist()), 1e-9)


def _middle(points: dict[str, Floats], name: str) -> Floats:
    return (points[f"left_{name}"] + points[f"right_{name}"]) / 2


def joint_sigma(confidence: Floats) -> Floats:
    """Standard deviation [24] m of each SMPL joint from the landmarks' confidences [33]; joints that no landmark shows
    take the value of their parent."""
    sigma = np.full(len(SMPL_PARENTS), np.nan)
    seen = confidence[BLAZEPOSE_LIMBS]
    sigma[SMPL_LIMBS] = _SIGMA_SEEN_M + (_SIGMA_UNSEEN_M - _SIGMA_SEEN_M) * (1.0 - seen)
    sigma[0] = sigma[SMPL_LIMBS[:2]].mean()
    for joint in np.flatnonzero(np.isnan(sigma)):
        sigma[joint] = sigma[SMPL_PARENTS[joint]]
    return sigma * _SIGMA_SCALE


def _stand(joints: Floats, keypoints_2d: Floats, camera: Camera) -> Floats:
    """Translation [3] m; where too little is visible, the landmarks guessed outside the image help out."""
    points_px = undistort_points(keypoints_2d[BLAZEPOSE_LIMBS, :2], camera)
    confidence = keypoints_2d[BLAZEPOSE_LIMBS, 2]
    for weights in (np.where(confidence > 0.3, confidence, 0.0), np.ones(len(confidence))):
        if np.count_nonzero(weights) < 4:
            continue
        transl = translation_from_points(joints[SMPL_LIMBS], points_px, weights, camera.K)
        if np.isfinite(transl).all() and (joints[:, 2] + transl[2]).min() > 0:
            return transl
    return np.array([0.0, 0.0, 0.5 - float(joints[:, 2].min())])


_ITERATIONS = 3
_MIN_DEPTH_M = 0.1


def translation_from_points(points: Floats, points_px: Floats, weights: Floats, K: Floats) -> Floats:
    """Translation t [3] m that brings project(points + t, K) closest to `points_px` [N,2] in weighted least squares.

    `points` [N,3] m are oriented as in the camera frame. Each pixel gives two equations linear in t; dividing them by
    the depth found last turns the algebraic error into pixels, and Cauchy weights take the pull from outliers.
    Returns NaN where fewer than two points carry weight (the depth is then unknown).
    """
    if np.count_nonzero(weights > 0) < 2:
        return np.full(3, np.nan)
    focal = np.array([K[0, 0], K[1, 1]])
    rays = np.linalg.solve(K, np.c_[points_px, np.ones(len(points_px))].T).T[:, :2]  # at z = 1
    A = np.zeros((len(points), 2, 3))
    A[:, 0, 0] = A[:, 1, 1] = 1.0
    A[:, :, 2] = -rays
    b = rays * points[:, 2:] - points[:, :2]
    scale = np.sqrt(np.maximum(weights, 0.0))[:, None] * focal
    t = np.zeros(3)
    robust = np.ones((len(points), 1))
    depth = np.ones((len(points), 1))
    for _ in range(_ITERATIONS):
        rows = scale * np.sqrt(robust) / depth
        t = np.linalg.lstsq((A * rows[..., None]).reshape(-1, 3), (b * rows).reshape(-1), rcond=None)[0]
        depth = np.maximum(points[:, 2:] + t[2], _MIN_DEPTH_M)
        error_px = np.linalg.norm((A @ t - b) * focal / depth, axis=1, keepdims=True)
        robust = 1.0 / (1.0 + (error_px / max(4.0, 2.0 * float(np.median(error_px)))) ** 2)
    return t
