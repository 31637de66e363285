"""The URDF that ships is the open body, and with our joint angles it stands as the person does."""

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from hmr_ros.body.axes import between_hips, body_rotation
from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.body.loading import load_body
from hmr_ros.io.model_store import share_file
from hmr_ros.ros.human_urdf import JOINT_NAMES, human_urdf, joint_state


def numbers(text):
    return np.array(text.split(), float)


def link_places(robot, angles):
    """Places of all links in the root's axes: forward kinematics as robot_state_publisher does it."""
    poses = {"body": (np.eye(3), np.zeros(3))}
    for joint in robot.iter("joint"):  # parents come before their children
        R, p = poses[joint.find("parent").get("link")]
        p = p + R @ numbers(joint.find("origin").get("xyz"))
        if joint.get("type") == "revolute":
            R = R @ Rotation.from_rotvec(angles[joint.get("name")] * numbers(joint.find("axis").get("xyz"))).as_matrix()
        poses[joint.find("child").get("link")] = R, p
    return {name: p for name, (_, p) in poses.items()}


@pytest.fixture
def robot():
    return ElementTree.fromstring(share_file("urdf/human.urdf").read_text(encoding="utf-8"))


def test_the_file_is_what_the_code_writes():
    assert share_file("urdf/human.urdf").read_text(encoding="utf-8") == human_urdf(load_body())


def test_one_tree_with_a_joint_for_every_name(robot):
    links = {link.get("name") for link in robot.iter("link")}
    children = [joint.find("child").get("link") for joint in robot.iter("joint")]
    assert links - set(children) == {"body"} and len(children) == len(set(children)) == len(links) - 1
    assert {j.get("name") for j in robot.iter("joint") if j.get("type") == "revolute"} == set(JOINT_NAMES)


def test_it_stands_as_the_person_does(robot, human):
    body = load_body()
    pose, shape = np.array(human.body_pose), np.zeros(10)  # the mean shape, which the URDF has
    joints = body.joints(human.global_orient, pose, shape, human.transl)
    state = joint_state(human, Header(), "body_7")
    assert state.header.frame_id == "body_7" and len(state.position) == len(state.name) == 69
    assert np.abs(state.position).max() < 3.15
    places = link_places(robot, dict(zip(state.name, state.position, strict=True)))
    person = body_rotation(human)
    for name, joint in zip(SMPL_JOINTS, joints, strict=True):
        expected = person.T @ (joint - joints[1:3].mean(0))
        np.testing.assert_allclose(places[name], expected, atol=2e-3, err_msg=name)
    assert np.linalg.norm(between_hips(human) - joints[1:3].mean(0)) < 0.2
