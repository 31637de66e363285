"""Closed-form recovery: landmarks made from a posed body lead back to that body."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE, MEASURED_BONES_SMPL, SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.body.shape import betas_from_bone_lengths
from hmr_ros.methods.kinematic import joint_sigma, pose_from_landmarks

FACING = np.array([np.pi, 0.0, 0.0])  # upright, facing the camera


def landmarks_of(global_orient, body_pose, betas):
    """BlazePose's 33 points on a posed body, as far as the SMPL joints and segments tell them; [33,3] m."""
    rest = load_body().rest_joints(betas)
    world, joints = forward_kinematics(pose_matrices(global_orient, body_pose), rest)
    out = np.zeros((33, 3))
    for name, i in BLAZEPOSE.items():
        if name in SMPL:
            out[i] = joints[SMPL[name]]

    def put(name, joint, offset):
        out[BLAZEPOSE[name]] = joints[SMPL[joint]] + world[SMPL[joint]] @ np.asarray(offset)

    for side, sx in (("left", 1), ("right", -1)):
        put(f"{side}_ear", "head", (0.07 * sx, 0.08, 0))
        toes = (rest[SMPL[f"{side}_foot"]] - rest[SMPL[f"{side}_ankle"]]) * np.array([1, 0, 1])
        put(f"{side}_heel", f"{side}_ankle", -0.3 * toes)
        put(f"{side}_foot_index", f"{side}_ankle", toes)
        hand = rest[SMPL[f"{side}_hand"]] - rest[SMPL[f"{side}_wrist"]]
        put(f"{side}_index", f"{side}_wrist", hand + np.array([0, 0, 0.03]))
        put(f"{side}_pinky", f"{side}_wrist", hand - np.array([0, 0, 0.03]))
    put("nose", "head", (0, 0.06, 0.1))
    return out - (out[BLAZEPOSE["left_hip"]] + out[BLAZEPOSE["right_hip"]]) / 2, joints


def pose(**turns):
    body_pose = np.zeros((23, 3))
    for name, value in turns.items():
        body_pose[SMPL[name] - 1] = value
    return body_pose.reshape(-1)


POSES = {
    "rest": pose(),
    "arms bent": pose(left_elbow=(0, -1.2, 0), right_elbow=(0, 0.9, 0)),
    "arms down": pose(left_shoulder=(0, 0, -1.2), right_shoulder=(0, 0, 1.2)),
    "squat": pose(left_hip=(-1.2, 0, 0), right_hip=(-1.2, 0, 0), left_knee=(1.8, 0, 0), right_knee=(1.8, 0, 0)),
    "step": pose(left_hip=(-0.6, 0, 0.1), left_knee=(0.8, 0, 0), right_hip=(0.3, 0, 0)),
    "kick, turned out": pose(left_hip=(-0.8, 0.5, 0.3), left_knee=(1.0, 0, 0)),
}


@pytest.mark.parametrize("name", POSES)
@pytest.mark.parametrize("orient", [FACING, np.array([2.0, 0.5, 2.0]), np.array([0.3, 0.2, -2.5])])
def test_joints_return(name, orient):
    betas = np.zeros(10)
    points, joints = landmarks_of(orient, POSES[name], betas)
    body = load_body()
    found = pose_from_landmarks(points, np.ones(33), body.rest_joints(betas))
    again = body.joints(*found, betas, np.zeros(3))
    error = np.linalg.norm((again - again[:1]) - (joints - joints[:1]), axis=1)[SMPL_LIMBS]
    assert error.max() < 0.02


def test_facing_the_camera_is_half_a_turn_about_x():
    points, _ = landmarks_of(FACING, POSES["rest"], np.zeros(10))
    global_orient, _ = pose_from_landmarks(points, np.ones(33), load_body().rest_joints(np.zeros(10)))
    assert np.linalg.norm(global_orient) == pytest.approx(np.pi, abs=0.1)
    assert abs(global_orient[0]) > 3.0


def test_degenerate_landmarks_still_give_finite_angles():
    rest = load_body().rest_joints(np.zeros(10))
    for points in (np.zeros((33, 3)), np.ones((33, 3))):
        assert all(np.isfinite(a).all() for a in pose_from_landmarks(points, np.zeros(33), rest))


def test_taller_bones_give_taller_betas():
    body = load_body()
    betas = np.array([1.5, *np.zeros(9)])
    bones = body.rest_joints(betas)[MEASURED_BONES_SMPL]
    lengths = np.linalg.norm(bones[:, 0] - bones[:, 1], axis=1)
    found = body.rest_joints(betas_from_bone_lengths(body, lengths))[MEASURED_BONES_SMPL]
    np.testing.assert_allclose(np.linalg.norm(found[:, 0] - found[:, 1], axis=1), lengths, atol=0.01)


def test_unknown_bones_leave_the_mean_shape():
    assert not betas_from_bone_lengths(load_body(), np.full(len(MEASURED_BONES_SMPL), np.nan)).any()


def test_legs_out_of_sight_stay_straight():
    points, _ = landmarks_of(FACING, POSES["kick, turned out"], np.zeros(10))
    confidence = np.ones(33)
    confidence[BLAZEPOSE["left_knee"] :] = 0.0
    _, body_pose = pose_from_landmarks(points, confidence, load_body().rest_joints(np.zeros(10)))
    legs = [SMPL[f"{s}_{n}"] for s in ("left", "right") for n in ("hip", "knee", "ankle")]
    assert not body_pose.reshape(23, 3)[np.array(legs) - 1].any()


def test_less_confident_landmarks_are_less_certain_joints():
    sure, unsure = joint_sigma(np.ones(33)), joint_sigma(np.where(np.arange(33) == BLAZEPOSE["left_wrist"], 0.2, 1.0))
    changed = np.flatnonzero(~np.isclose(sure, unsure))
    assert changed.tolist() == [SMPL["left_wrist"], SMPL["left_hand"]] and (unsure[changed] > 2 * sure[changed]).all()
    assert sure[SMPL["left_ankle"]] > sure[SMPL["left_knee"]] > sure[SMPL["spine1"]]
