"""SONIC's messages, read by a reader that was written from the description of the format."""

import json

import numpy as np
import pytest
from poses import LEFT_ARM_UP, SQUAT, posed, turned_left
from sonic_reader import headings, joined, product, read, rotated

from hmr_ros.body.joints import SMPL
from hmr_ros.exchange.resample import Sample
from hmr_ros.exchange.sonic import SonicFrames
from hmr_ros.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix

Z_UP_FROM_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@pytest.fixture
def sent(open_body, pose_made):
    """Makes the fields that a reader gets of a pose [72]."""

    def make(pose, **given):
        return {k: v[0] for k, v in read(SonicFrames(open_body)(Sample(pose_made(pose, **given), 0.0, True))).items()}

    return make


def test_the_header_is_what_the_protocol_says(open_body, pose_made):
    message = SonicFrames(open_body)(Sample(pose_made(posed()), 0.0, True))
    assert message.startswith(b'pose{"v":3,"endian":"le","count":1,"fields":[{"name":"smpl_joints","dtype":"f32",')
    fields = {f["name"]: (f["dtype"], f["shape"]) for f in json.loads(message[4:1284].rstrip(b"\0"))["fields"]}
    assert fields == {
        "smpl_joints": ("f32", [1, 24, 3]), "smpl_pose": ("f32", [1, 21, 3]), "joint_pos": ("f32", [1, 29]),
        "joint_vel": ("f32", [1, 29]), "body_quat": ("f32", [1, 4]), "frame_index": ("i64", [1]),
    }  # fmt: skip
    assert len(message) == 4 + 1280 + 4 * (72 + 63 + 29 + 29 + 4) + 8


def test_who_faces_x_is_the_identity(sent):
    np.testing.assert_allclose(sent(posed())["body_quat"], [1, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("turn", [-2.5, -1.0, 0.5, np.pi / 2])
def test_who_turns_left_turns_about_z(sent, turn):
    np.testing.assert_allclose(
        sent(turned_left(turn))["body_quat"], [np.cos(turn / 2), 0, 0, np.sin(turn / 2)], atol=1e-6
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_root_is_that_of_the_protocols_formula(sent, seed):
    """Rx(90 degrees) q conj(0.5, 0.5, 0.5, 0.5), q in the world with y up."""
    pose = posed()
    pose[:3] = np.random.default_rng(seed).normal(0, 1, 3)
    q = quaternion_from_matrix(matrix_from_axis_angle(pose[:3]))
    expected = product(product([np.sqrt(0.5), np.sqrt(0.5), 0, 0], q), [0.5, -0.5, -0.5, -0.5])
    assert abs(expected @ sent(pose)["body_quat"]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("pose", [posed(), SQUAT, LEFT_ARM_UP, np.random.default_rng(0).normal(0, 0.5, 72)])
@pytest.mark.parametrize("betas", [0.0, 1.5])
def test_joints_turned_by_the_root_are_the_bodys_own(sent, open_body, pose, betas):
    got = sent(pose, betas=betas)
    shape = np.full(10, betas) * (np.arange(10) < 3)
    joints = open_body.joints(pose[:3], pose[3:], shape, np.zeros(3)) @ Z_UP_FROM_Y_UP.T
    np.testing.assert_allclose(rotated(got["body_quat"], got["smpl_joints"]), joints - joints[0], atol=1e-5)
    np.testing.assert_allclose(got["smpl_joints"][0], 0, atol=1e-9)


def test_a_standing_person_is_upright_with_the_left_on_the_left(sent):
    joints = sent(posed())["smpl_joints"]
    assert joints[SMPL["head"], 2] > 0.4 and joints[SMPL["left_ankle"], 2] < -0.7
    assert joints[SMPL["left_hip"], 1] > 0.05 and joints[SMPL["left_wrist"], 1] > 0.5
    assert joints[SMPL["left_foot"], 0] > joints[SMPL["left_ankle"], 0] + 0.05


def test_a_squat(sent):
    stand, squat = sent(posed())["smpl_joints"], sent(SQUAT)["smpl_joints"]
    for side in ("left", "right"):
        hip, knee, ankle = (SMPL[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
        assert squat[knee, 0] > squat[hip, 0] + 0.3  # thighs forward
        assert abs(squat[knee, 2] - squat[hip, 2]) < 0.1  # and level
        assert squat[ankle, 2] > stand[ankle, 2] + 0.3
        assert abs(squat[ankle, 0]) < 0.35
    np.testing.assert_allclose(squat[SMPL["head"]], stand[SMPL["head"]], atol=1e-6)


def test_a_raised_arm(sent):
    raised = sent(LEFT_ARM_UP)["smpl_joints"]
    assert raised[SMPL["left_wrist"], 2] > raised[SMPL["head"], 2] and raised[SMPL["left_wrist"], 1] > 0
    assert raised[SMPL["right_wrist"], 2] < raised[SMPL["head"], 2] and raised[SMPL["right_wrist"], 1] < -0.5


def test_pose_angles_are_those_of_joints_1_to_21(sent):
    pose = np.random.default_rng(1).normal(0, 0.4, 72)
    np.testing.assert_allclose(sent(pose)["smpl_pose"], pose[3:66].reshape(21, 3), atol=1e-5)


def test_several_frames_a_message_are_the_same_frames(open_body, pose_made):
    samples = [Sample(pose_made(posed(left_elbow=[0, -0.1 * k, 0])), 0.0, True) for k in range(10)]
    one, four = SonicFrames(open_body), SonicFrames(open_body, count=4)
    singles = joined([one(s) for s in samples])
    messages = [m for s in [*samples, None] if (m := four(s)) is not None]
    assert [len(read(m)["frame_index"]) for m in messages] == [4, 4, 2]
    for name, values in joined(messages).items():
        np.testing.assert_array_equal(values, singles[name])
    assert singles["frame_index"].tolist() == list(range(10))


def test_numbers_go_on_after_a_pause(open_body, pose_made):
    frames, sample = SonicFrames(open_body), Sample(pose_made(posed()), 0.0, True)
    numbers = [m and read(m)["frame_index"][0] for m in map(frames, [sample, sample, None, None, sample])]
    assert numbers == [0, 1, None, None, 2]


def test_the_root_keeps_its_sign_through_a_whole_turn(open_body, pose_made):
    """Who faces the camera is at half a turn, where the larger half of the quaternion changes."""
    frames = SonicFrames(open_body)
    turns = np.linspace(0, 4 * np.pi, 200)
    roots = joined([frames(Sample(pose_made(turned_left(t)), 0.0, True)) for t in turns])["body_quat"]
    assert np.linalg.norm(np.diff(roots, axis=0), axis=1).max() < 0.05
    np.testing.assert_allclose(headings(roots), turns, atol=1e-4)


def test_the_mean_skeleton_is_everybodys(open_body, pose_made):
    child, tall = (Sample(pose_made(SQUAT, betas=b), 0.0, True) for b in (-2.0, 2.0))
    own = [read(SonicFrames(open_body)(s))["smpl_joints"] for s in (child, tall)]
    mean = [read(SonicFrames(open_body, skeleton="mean")(s))["smpl_joints"] for s in (child, tall)]
    np.testing.assert_array_equal(*mean)
    assert np.abs(own[0] - own[1]).max() > 0.05
