"""Frames on /tf have the axes and origins that REP-103 and REP-155 ask for, and names that do not collide."""

import numpy as np
import pytest
from hmr_ros.msg import Human
from std_msgs.msg import Header

from hmr_ros.body.axes import between_hips, body_rotation, joint_rotations
from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.geometry.rotations import axis_angle_from_quaternion, matrix_from_axis_angle
from hmr_ros.ros.convert import humans_to_msg
from hmr_ros.ros.frames import image_header, joint_transforms, person_id, person_prefix, person_transform
from hmr_ros.ros.notices import Notices


def rotation(q):
    return matrix_from_axis_angle(axis_angle_from_quaternion(np.array([q.w, q.x, q.y, q.z])))


def vector(v):
    return np.array([v.x, v.y, v.z])


def test_a_persons_frame(human):
    t = person_transform(human, Header(frame_id="optical"), "body_")
    assert (t.header.frame_id, t.child_frame_id) == ("optical", "body_7")
    np.testing.assert_allclose(vector(t.transform.translation), between_hips(human))
    np.testing.assert_allclose(rotation(t.transform.rotation), body_rotation(human), atol=1e-9)


def test_joints_hang_on_the_person(human):
    person = person_transform(human, Header(frame_id="optical"), "body_")
    R, origin = rotation(person.transform.rotation), vector(person.transform.translation)
    joints = joint_transforms(human, Header(frame_id="optical"), "body_")
    assert [t.child_frame_id for t in joints] == [f"body_7_{n}" for n in SMPL_JOINTS]
    assert {t.header.frame_id for t in joints} == {"body_7"}
    for t, place, axes in zip(joints, human.joints, joint_rotations(human), strict=True):
        np.testing.assert_allclose(R @ vector(t.transform.translation) + origin, place, atol=1e-9)
        np.testing.assert_allclose(R @ rotation(t.transform.rotation), axes, atol=1e-9)


@pytest.mark.parametrize(
    ("node", "given", "prefix"),
    [
        ("/hmr", "", "body_p"),
        ("/left/hmr", "", "body_left_"),
        ("/robot/left/hmr", "", "body_robot_left_"),
        ("/front", "", "body_front_"),
        ("/robot/hmr", "person_", "person_"),
    ],
)
def test_two_cameras_do_not_collide(node, given, prefix):
    assert person_prefix(node, given) == prefix


def test_the_id_belongs_to_the_frame(human):
    (message,) = humans_to_msg([human], Header(), "body_left_").humans
    assert message.id == "left_7" == person_id("body_left_7")
    assert f"body_{message.id}" == person_transform(human, Header(), "body_left_").child_frame_id
    assert message.scale_source == Human.SCALE_GUESS


@pytest.mark.parametrize(
    ("frame_id", "setting", "result", "said"),
    [
        ("camera_color_optical_frame", "", "camera_color_optical_frame", []),
        ("", "", "", ["empty frame_id"]),
        ("camera_link", "", "camera_link", ["none of the usual names of an optical frame"]),
        ("camera_link", "camera_optical_frame", "camera_optical_frame", []),
        ("", "camera_optical_frame", "camera_optical_frame", []),
    ],
)
def test_odd_frames_are_said_once(frame_id, setting, result, said):
    lines = []
    notices = Notices(lines.append)
    for _ in range(3):
        assert image_header(Header(frame_id=frame_id), setting, notices).frame_id == result
    assert len(lines) == len(said) and all(s in line for s, line in zip(said, lines, strict=True))
