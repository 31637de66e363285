"""The files for users say what the code does."""

import re

import pytest
import yaml

from hmr_ros.config import HmrConfig, read_config, settings
from hmr_ros.errors import ConfigError
from hmr_ros.io.model_store import share_file
from hmr_ros.ros.parameters import START_ARGUMENTS, ros_arguments


def test_live_yaml_holds_every_parameter_with_its_default():
    file = share_file("config/live.yaml")
    assert read_config(file) == HmrConfig()
    text = file.read_text()
    for s in settings():
        assert s.doc in text, s.name
        assert re.search(rf"^\s+{s.name.split('.')[-1]}: ", text, re.MULTILINE), s.name


def test_start_arguments_become_ros_arguments():
    given = ["image_topic:=/cam/color", "config:=my.yaml", "namespace:=robot", "use_sim_time:=true"]
    expected = ["--ros-args", "-p", "input.image_topic:=/cam/color", "--params-file", "my.yaml"]
    expected += ["-r", "__ns:=/robot", "-p", "use_sim_time:=true"]
    assert ros_arguments(given) == expected
    assert ros_arguments(["--ros-args", "-p", "x:=1"]) == ["--ros-args", "-p", "x:=1"]


@pytest.mark.parametrize("bad", ["imagetopic:=/x", "--verbose", "rviz:=true"])
def test_unknown_start_arguments_are_refused(bad):
    with pytest.raises(ConfigError):
        ros_arguments([bad])


def test_start_arguments_name_real_settings():
    names = {s.name for s in settings()} | {"use_sim_time", ""}
    assert all(a.setting in names for a in START_ARGUMENTS)


def test_launch_files_compile_and_take_the_table():
    for name in ("live", "bag"):
        source = share_file(f"launch/{name}.launch.py").read_text()
        compile(source, name, "exec")
    assert "START_ARGUMENTS" in share_file("launch/live.launch.py").read_text()


def test_live_launch_description():
    pytest.importorskip("launch_ros")
    import importlib.util

    spec = importlib.util.spec_from_file_location("live_launch", share_file("launch/live.launch.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {a.name for a in module.generate_launch_description().get_launch_arguments()}
    assert declared == {a.name for a in START_ARGUMENTS}


def test_rviz_set_up_is_valid_and_shows_our_topics():
    tree = yaml.safe_load(share_file("config/hmr.rviz").read_text())
    topics = {d["Topic"]["Value"] for d in tree["Visualization Manager"]["Displays"] if "Topic" in d}
    assert topics == {"/hmr/markers", "/hmr/mesh", "/hmr/overlay"}
