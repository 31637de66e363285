"""Cameras of one file: nodes that share the cores and collide in nothing."""

import re

import numpy as np
import pytest

from hmr_ros.errors import ConfigError
from hmr_ros.io.model_store import share_file
from hmr_ros.ros.cameras import camera_nodes, fused_cameras, read_cameras
from hmr_ros.ros.frames import person_prefix

TWO = "cameras: {left: {image_topic: /l/image, target_frame: map}, right: {image_topic: /r/image, use_sim_time: true}}"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "cameras.yaml"
        path.write_text(text)
        return path

    return write


def merged(node):
    """Parameters of a node; a later one wins."""
    return {k: v for p in node["parameters"] if isinstance(p, dict) for k, v in p.items()}


def test_a_camera_is_a_namespace_with_its_own_arguments(file):
    left, right = camera_nodes(file(TWO), {"target_frame": "odom", "log_level": "warn"}, 4, {}, "profile.xml")
    assert (left["namespace"], right["namespace"]) == ("left", "right")
    assert merged(left) == {"input.image_topic": "/l/image", "output.target_frame": "map", "threads": 2}
    expected = {"input.image_topic": "/r/image", "output.target_frame": "odom", "use_sim_time": True, "threads": 2}
    assert merged(right) == expected
    assert left["ros_arguments"] == right["ros_arguments"] == ["--log-level", "warn"]
    prefixes = {person_prefix(f"/{n['namespace']}/hmr", "") for n in (left, right)}
    assert prefixes == {"body_left_", "body_right_"}


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 1), (16, 8)])
def test_cores_are_divided(file, cores, threads):
    assert all(merged(n)["threads"] == threads for n in camera_nodes(file(TWO), {}, cores, {}, "p"))


def test_a_namespace_around_all(file):
    nodes = camera_nodes(file(TWO), {"namespace": "/robot/"}, 2, {}, "p")
    assert [n["namespace"] for n in nodes] == ["robot/left", "robot/right"]


def test_the_file_that_ships():
    assert set(read_cameras(share_file("config/cameras.yaml"))) == {"left", "right"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no cameras; it looks like cameras: {left:"),
        ("- a", "names no cameras"),
        ("cameras: {}", "names no cameras"),
        ("cameras: [", "is not valid YAML"),
        ("cameras: {1st: {image_topic: /a}}", "'1st' is no name of a namespace"),
        ("cameras: {left: /a}", "camera 'left' has no settings"),
        ("cameras: {left: {}}", "camera 'left' has no image_topic"),
        ("cameras: {left: {image_topic: /a, fps: 3}}", "camera 'left' has 'fps'; give image_topic, camera_info_topic"),
        ("cameras: {left: {image_topic: /a, config: no.yaml}}", "no parameter file no.yaml"),
        ("cameras: {left: {image_topic: /a, use_sim_time: maybe}}", "must be true or false"),
    ],
)
def test_what_is_wrong_is_one_line(file, text, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        camera_nodes(file(text), {}, 2, {}, "p")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read cameras file"):
        read_cameras(tmp_path / "no.yaml")


PLACED = """
cameras:
  left: {image_topic: /l/image, R: [1, 0, 0, 0, 0, 1, 0, -1, 0], t: [0, 1, 2]}
  right: {image_topic: /r/image, humans_topic: /other/humans}
"""


def test_one_file_for_the_cameras_and_for_their_fusion(file):
    path = file(PLACED)
    assert read_cameras(path) == {"left": {"image_topic": "/l/image"}, "right": {"image_topic": "/r/image"}}
    left, right = fused_cameras(path).values()
    assert (left.humans_topic, right.humans_topic) == ("left/hmr/humans", "/other/humans")
    assert right.pose is None
    np.testing.assert_allclose(left.pose.inverse.translation, [0, 1, 2])
    np.testing.assert_allclose(left.pose.translation, [0, 2, -1])


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("image_topic: /r, R: [1, 0, 0, 0, 1, 0, 0, 0, 1]", "camera 'right' has R alone"),
        ("image_topic: /r, R: [1, 0], t: [0, 0, 0]", "camera 'right': R is not 9 finite numbers"),
        ("image_topic: /r, R: [2, 0, 0, 0, 1, 0, 0, 0, 1], t: [0, 0, 0]", "R is not a rotation"),
        ("image_topic: /r, humans_topic: 3", "humans_topic of camera 'right' is 3"),
        ("image_topic: /r, T: [0, 0, 0]", "camera 'right' has 'T'; give"),
    ],
)
def test_what_is_wrong_for_fusion_is_one_line(file, right, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        fused_cameras(file(f"cameras: {{left: {{image_topic: /l}}, right: {{{right}}}}}"))
    assert "\n" not in str(caught.value)


def test_one_camera_cannot_be_fused(file):
    with pytest.raises(ConfigError, match="two or more"):
        fused_cameras(file("cameras: {left: {image_topic: /l}}"))
