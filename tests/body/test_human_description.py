"""Twenty angles pose the published human description as the person stands, as far as its limits let it."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hmr_ros.body.axes import between_hips, body_rotation
from hmr_ros.body.human_description import JOINTS, hri_angles, hri_urdf
from hmr_ros.body.joints import SMPL
from hmr_ros.body.loading import load_body


def posed(human, **turns):
    """Standing in the T-pose but for these joints' axis-angle."""
    pose = np.zeros((23, 3))
    for name, turn in turns.items():
        pose[SMPL[name] - 1] = turn
    orient = np.array([np.pi, 0.1, 0.0])
    joints = load_body().joints(orient, pose.reshape(-1), human.betas, human.transl)
    return replace(human, global_orient=orient, body_pose=pose.reshape(-1), joints=joints)


def links(human):
    """Places of the URDF's links in the frame of the human, by forward kinematics of the text."""
    robot = ElementTree.fromstring(hri_urdf(human, "x"))
    angles = {f"{n}_x": a for n, a in hri_angles(human).items()}
    joints = {j.find("child").get("link"): j for j in robot.iter("joint")}

    def pose(link):
        if link not in joints:
            return body_rotation(human), between_hips(human)
        joint = joints[link]
        R, p = pose(joint.find("parent").get("link"))
        p = p + R @ np.array(joint.find("origin").get("xyz").split(), float)
        if joint.get("type") == "revolute":
            axis = np.array(joint.find("axis").get("xyz").split(), float)
            R = R @ Rotation.from_rotvec(angles[joint.get("name")] * axis).as_matrix()
        return R, p

    return {link.get("name").removesuffix("_x"): pose(link.get("name")) for link in robot.iter("link")}


def direction(human, a, b):
    d = human.joints[SMPL[b]] - human.joints[SMPL[a]]
    return d / np.linalg.norm(d)


ARMS_DOWN = {"left_shoulder": [0, 0, -1.3], "right_shoulder": [0, 0, 1.3]}
POSES = {
    "t_pose": {},
    "arms_down": ARMS_DOWN,
    "elbows": {**ARMS_DOWN, "left_elbow": [0, -1.2, 0], "right_elbow": [0, 0.9, 0]},
    "arms_forward": {"left_shoulder": [0, -1.2, 0], "right_shoulder": [0, 1.2, 0]},
    "step": {"left_hip": [-0.5, 0, 0], "left_knee": [0.8, 0, 0], "right_knee": [0.4, 0, 0]},
    "bow": {"spine1": [0.3, 0, 0], "spine2": [0.2, 0, 0], **ARMS_DOWN},
    "legs_apart": {"left_hip": [0, 0, 0.4], "right_hip": [0, 0, -0.4]},
}


@pytest.mark.parametrize("name", POSES)
def test_limbs_point_where_the_persons_do(human, name):
    person = posed(human, **POSES[name])
    found = links(person)
    for side, whole in (("l", "left"), ("r", "right")):
        for upper, lower, far in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
            R_upper, R_lower = found[f"{side}_{upper}"][0], found[f"{side}_{lower}"][0]
            wanted = direction(person, f"{whole}_{upper}", f"{whole}_{lower}")
            assert -R_upper[:, 2] @ wanted > np.cos(0.15), f"{whole} {upper}"
            wanted = direction(person, f"{whole}_{lower}", f"{whole}_{far}")
            assert -R_lower[:, 2] @ wanted > np.cos(0.2), f"{whole} {lower}"
        knee = person.joints[SMPL[f"{whole}_knee"]]
        assert np.linalg.norm(found[f"{side}_knee"][1] - knee) < 0.1


def test_the_waist_bows_and_the_head_turns(human):
    assert hri_angles(posed(human, **POSES["bow"]))["waist"] == pytest.approx(0.5, abs=0.05)
    turned = hri_angles(posed(human, head=[0, 0.6, 0]))  # SMPL's y is up: to the left
    assert turned["y_head"] == pytest.approx(0.6, abs=0.02)
    nodded = hri_angles(posed(human, head=[0.4, 0, 0]))  # down
    assert nodded["p_head"] == pytest.approx(-0.4, abs=0.02)


def test_twenty_angles_within_their_limits_whatever_the_pose(human):
    rng = np.random.default_rng(0)
    for _ in range(20):
        wild = replace(human, body_pose=rng.normal(0, 1.5, 69), global_orient=rng.normal(0, 2, 3))
        body = load_body()
        wild = replace(wild, joints=body.joints(wild.global_orient, wild.body_pose, wild.betas, wild.transl))
        angles = hri_angles(wild)
        assert list(angles) == [j.name for j in JOINTS] and len(angles) == 20
        assert all(j.low <= angles[j.name] <= j.high for j in JOINTS)


def test_the_urdf_is_one_tree_with_the_persons_id(human):
    robot = ElementTree.fromstring(hri_urdf(human, "ab3"))
    names = {link.get("name") for link in robot.iter("link")}
    children = [j.find("child").get("link") for j in robot.iter("joint")]
    assert names - set(children) == {"body_ab3"} and len(children) == len(set(children)) == len(names) - 1
    assert all(n.endswith("_ab3") for n in names)
