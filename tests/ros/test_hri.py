"""ROS4HRI (REP-155) and /people, from a process that has the message packages; these are built here where missing."""

import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.ros.convert import humans_to_msg
from hmr_ros.ros.hri import skeleton_2d
from hmr_ros.ros.topics import FUSION_TOPICS, OUT, TOPICS


@pytest.fixture(scope="session")
def session(with_messages, tmp_path_factory, rendered):
    image = tmp_path_factory.mktemp("hri") / "image.png"
    cv2.imwrite(str(image), rendered[0][0])
    command = [sys.executable, str(Path(__file__).parent / "hri_session.py"), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=with_messages)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_one_id_everywhere(session):
    assert session["id"] == session["body"] == session["person"][0]
    assert session["body"][0].isalpha() and set(session["frame_ids"]) == {"optical"}


def test_the_topics_are_those_of_the_table(session):
    table = {t.name: t.types for t in TOPICS if t.name.startswith(("/humans", "/people")) and t.direction == OUT}
    there = {n: types for n, types in session["topics"].items() if n.startswith(("/humans", "/people"))}
    matched = {name: [pattern for pattern in table if fnmatch(name, pattern)] for name in there}
    assert sorted(p for patterns in matched.values() for p in patterns) == sorted(table)
    assert all(set(there[name]) <= set(table[pattern]) for name, (pattern,) in matched.items())


def test_region_and_skeleton_are_shares_of_the_image(session):
    x0, y0, x1, y1, c = session["roi"]
    assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 and 0.5 < c <= 1
    points = np.array(session["skeleton"])
    assert points.shape == (18, 3) and points.min() >= 0 and points.max() <= 1
    inside = points[points[:, 2] > 0.5]
    assert len(inside) > 10 and (inside[:, 0] > x0 - 0.05).all() and (inside[:, 0] < x1 + 0.05).all()


def test_joints_belong_to_the_urdf(session):
    robot = ElementTree.fromstring(session["urdf"])
    revolute = {j.get("name") for j in robot.iter("joint") if j.get("type") == "revolute"}
    assert set(session["joints"]) == revolute and len(revolute) == 20
    assert f"body_{session['body']}" in {link.get("name") for link in robot.iter("link")}


def test_people_have_place_and_reliability(session):
    _, z, _, reliability = session["person"]
    assert z == pytest.approx(session["pelvis_z"], abs=0.2) and 0.5 < reliability <= 1


def test_topics_of_who_left_are_gone(session):
    assert session["after"] == ["/humans/bodies/tracked"]


def test_who_was_there_is_not_when_the_node_is_deactivated(session):
    """`hri_session.py` waits for an empty list of bodies and of people."""
    assert session["deactivated"] == ["/humans/bodies/tracked"]


@pytest.fixture(scope="session")
def fused(with_messages, tmp_path_factory, cameras, seen_by):
    """What the node `fusion` publishes of somebody whom two cameras see."""
    folder = tmp_path_factory.mktemp("fused")
    lines = ["cameras:"]
    for name, view in zip(("left", "right"), cameras, strict=True):
        R, t = view.R_camera_world.reshape(-1).tolist(), view.t_camera_world.tolist()
        lines.append(f"  {name}: {{image_topic: /{name}/image, R: {R}, t: {t}}}")
        seen = humans_to_msg([seen_by(view, (0.2, 0.9, -0.1))], Header(frame_id=f"{name}_optical"))
        (folder / name).write_bytes(serialize_message(seen))
    (folder / "cameras.yaml").write_text("\n".join(lines))
    command = [sys.executable, str(Path(__file__).parent / "fused_hri_session.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=with_messages)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_people_of_several_cameras_are_bodies_in_the_common_frame(fused):
    assert fused["id"] == fused["body"] == fused["person"][0] == "fusion_0"
    assert set(fused["frame_ids"]) == {"world"}
    np.testing.assert_allclose(fused["person"][1:], fused["pelvis"], atol=0.05)
    robot = ElementTree.fromstring(fused["urdf"])
    revolute = {j.get("name") for j in robot.iter("joint") if j.get("type") == "revolute"}
    assert set(fused["names"]) == revolute and len(revolute) == 20


def test_the_topics_of_fused_people_are_those_of_the_table(fused):
    table = {t.name: t.types for t in FUSION_TOPICS if t.name.startswith(("/humans", "/people")) and t.direction == OUT}
    there = {n: types for n, types in fused["topics"].items() if n.startswith(("/humans", "/people"))}
    matched = {name: [pattern for pattern in table if fnmatch(name, pattern)] for name in there}
    assert sorted(p for patterns in matched.values() for p in patterns) == sorted(table)


def test_who_publishes_bodies_beside_the_fusion_is_told_how_to_stop(fused):
    assert not fused["before"]
    (line,) = fused["said"]
    assert line.startswith("others publish /humans/bodies/tracked too") and line.endswith("for the cameras' nodes")


@given(st.integers(2, 4000), st.integers(2, 4000))
def test_whatever_the_size_points_stay_in_the_unit_square(width, height):
    class Someone:
        keypoints_2d = np.random.default_rng(width * height).uniform(-500, 4500, (33, 3))

    points = skeleton_2d(Someone, width, height)
    assert points.shape == (18, 3) and points.min() >= 0 and points.max() <= 1


def test_the_neck_is_between_the_shoulders_and_no_surer_than_they(human):
    points, width, height = human.keypoints_2d.copy(), 2, 2
    neck = skeleton_2d(human, width, height)[1]
    ends = points[[BLAZEPOSE["left_shoulder"], BLAZEPOSE["right_shoulder"]]]
    np.testing.assert_allclose(neck, [*ends[:, :2].mean(0) / 2, ends[:, 2].min()])
