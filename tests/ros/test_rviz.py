"""RViz looks at the topics of the node's namespace, in a frame that is there."""

from pathlib import Path

import pytest
import yaml

from hmr_ros.io.model_store import share_file
from hmr_ros.ros.rviz import rviz_file, rviz_setup

TEMPLATE = share_file("config/hmr.rviz")


def shown(text):
    manager = yaml.safe_load(text)["Visualization Manager"]
    topics = {d["Topic"]["Value"] for d in manager["Displays"] if "Topic" in d}
    return topics, manager["Global Options"]["Fixed Frame"]


@pytest.mark.parametrize(("namespace", "prefix"), [("", ""), ("robot", "/robot"), ("/a/b/", "/a/b"), ("/", "")])
def test_a_namespace(namespace, prefix):
    topics, frame = shown(rviz_setup(TEMPLATE, namespace, "map"))
    assert topics == {f"{prefix}/hmr/{t}" for t in ("markers", "mesh", "overlay")} and frame == "map"


def test_without_either_it_is_the_file_itself():
    assert yaml.safe_load(rviz_setup(TEMPLATE)) == yaml.safe_load(TEMPLATE.read_text())


@pytest.mark.parametrize(
    ("given", "frame"),
    [
        ({}, "camera_optical_frame"),
        ({"target_frame": "odom"}, "odom"),
        ({"target_frame": "odom", "fixed_frame": "map"}, "map"),
    ],
)
def test_the_launch_file_gets_a_file(given, frame):
    file = rviz_file(TEMPLATE, {"namespace": "robot", **given})
    assert shown(Path(file).read_text(encoding="utf-8"))[1] == frame
