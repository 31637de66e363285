"""Parameters on a real node, and the files for users that say what they are."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import rclpy
import yaml
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from hmr_ros.config import HmrConfig, read_config, settings, with_values
from hmr_ros.errors import ConfigError
from hmr_ros.fusion.settings import FusionConfig
from hmr_ros.io.model_store import share_file
from hmr_ros.ros.environment import PROFILE_VARIABLES
from hmr_ros.ros.parameters import changed, declare_settings, described, parameter_page
from hmr_ros.ros.start_arguments import (
    FUSION_ARGUMENTS,
    START_ARGUMENTS,
    launched_node,
    node_parameters,
    ros_arguments,
    slips,
)  # fmt: skip

RESTED = {"respawn": False, "respawn_delay": 2.0}


def test_live_yaml_holds_every_parameter_with_its_default():
    file = share_file("config/live.yaml")
    assert read_config(file) == HmrConfig()
    lines = [line.strip() for line in file.read_text().splitlines()]
    said = [(comment, line.partition(":")[0]) for comment, line in pairwise(lines) if comment.startswith("# ")]
    assert said[-len(list(settings())) :] == [(f"# {described(s)}", s.name.split(".")[-1]) for s in settings()]


def test_the_page_of_parameters_is_what_the_code_writes():
    page = Path(__file__).parents[2] / "docs" / "parameters.md"
    assert page.read_text(encoding="utf-8") == parameter_page()


@pytest.fixture
def node():
    """Starts nodes `hmr` as `hmr live ARGUMENTS` does, without the pipeline."""
    started = []

    def start(*arguments):
        context = rclpy.Context()
        rclpy.init(args=["hmr", *ros_arguments(list(arguments))], context=context)
        started.append((rclpy.create_node("hmr", context=context), context))
        return started[-1][0]

    yield start
    for made, context in started:
        made.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def file(tmp_path):
    """A user's parameter file."""

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return f"config:={path}"

    return write


def test_parameters_are_the_settings(node):
    assert declare_settings(node()) == HmrConfig()


@pytest.mark.parametrize("name", ["/**", "/hmr", "hmr"])
def test_an_argument_beats_the_file_and_the_file_beats_the_default(node, file, name):
    config = file(f"{name}:\n  ros__parameters:\n    input: {{image_topic: /file, camera_info_topic: /file_info}}\n")
    for given in (["image_topic:=/arg", config], [config, "image_topic:=/arg"]):
        inputs = declare_settings(node(*given)).input
        assert (inputs.image_topic, inputs.camera_info_topic) == ("/arg", "/file_info")


def test_ros_arguments_of_the_users_own_come_last(node, file):
    given = [file("/**: {ros__parameters: {threads: 3, recover: kinematic}}"), "image_topic:=/arg"]
    config = declare_settings(node(*given, "--ros-args", "-p", "threads:=4", "-p", "input.image_topic:=/last"))
    assert (config.threads, config.recover, config.input.image_topic) == (4, "kinematic", "/last")


def test_an_integer_is_taken_where_a_number_is_wanted(node, file):
    n = node(file("/**: {ros__parameters: {tracker: {max_occlusion_s: 2}}}"))
    value = declare_settings(n).tracker.max_occlusion_s
    assert value == 2.0 and type(value) is float
    parameter = n.get_parameter("tracker.max_occlusion_s").get_parameter_value()
    assert (parameter.type, parameter.double_value) == (ParameterType.PARAMETER_DOUBLE, 2.0)


def test_a_list_is_taken_where_an_orientation_is_wanted(node):
    for given in ("[-0.5, 0.5, -0.5, 0.5]", "-0.5,0.5,-0.5,0.5"):
        assert declare_settings(node("--ros-args", "-p", f"camera.orientation:={given}")).camera.orientation == (
            "-0.5,0.5,-0.5,0.5"
        )


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("detector.scan_period_s:=0", "'detector.scan_period_s' is 0.0; give 0.01 to 3600"),
        ("output.diagnostics_period_s:=0.0", "'output.diagnostics_period_s' is 0.0; give 0.1 to 3600"),
        ("tracker.max_occlusion_s:=-1.0", "give 0 to 3600"),
        ("tracker.min_landmark_score:=.nan", "is nan; give 0 to 1"),
        ("tracker.max_people:=0", "'tracker.max_people' is 0; give 1 to 64"),
        ("tracker.max_people:=2.5", "'tracker.max_people' must be an integer, not 2.5"),
        ("output.tf_prefix:=7", "'output.tf_prefix' must be text, not 7"),
        ("output.tf:=1", "'output.tf' must be true or false, not 1"),
        ("threads:=[1, 2]", "'threads' must be an integer"),
        ("camera.orientation:=[0.0, 0.0, 0.0, 2.0]", "'camera.orientation' has the length 2; give the camera's"),
        ("recover:=magic", "choose one of kinematic, posture"),
    ],
)
def test_values_that_are_not_allowed_are_refused_in_one_line(node, parameter, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        declare_settings(node("--ros-args", "-p", parameter))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("tracker.max_poeple", "tracker.max_people"),
        ("tracker.max_humans", "tracker."),
        ("max_people", "tracker.max_people"),
        ("recovr", "recover"),
        ("input.compressed", "input."),
    ],
)
def test_a_slip_is_refused_and_the_nearest_name_said(node, name, near):
    with pytest.raises(ConfigError, match=rf"unknown parameter '{name}'; did you mean '{near}"):
        declare_settings(node("--ros-args", "-p", f"{name}:=3"))


def test_parameters_of_others_are_named_and_let_be(node, file, capfd):
    n = node(file("/**: {ros__parameters: {exposure: 7, serial: abc, threads: 3, qos_overrides: {/image: {x: 1}}}}"))
    assert declare_settings(n).threads == 3
    said = capfd.readouterr().err
    assert said.count("parameters that this node does not have: exposure, serial") == 1 and "qos" not in said


@pytest.mark.parametrize("s", list(settings()), ids=lambda s: s.name)
def test_every_parameter_says_when_it_changes_and_holds_to_it(s):
    other = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v / 2 + 0.01, str: lambda v: "0,0,0,1"}
    value = next(c for c in s.choices if c != s.default) if s.choices else other[type(s.default)](s.default)
    allowed = {"live": "active inactive unconfigured", "activate": "inactive unconfigured", "configure": "unconfigured"}
    for state in ("active", "inactive", "unconfigured"):
        given = [Parameter(s.name, value=value), Parameter("use_sim_time", value=True)]
        if state in allowed[s.when].split():
            assert changed(HmrConfig(), given, state) == with_values(HmrConfig(), {s.name: value})
        else:
            with pytest.raises(ConfigError, match=rf"'{s.name}' changes when.*which is {state}; deactivate"):
                changed(HmrConfig(), given, state)
        assert changed(HmrConfig(), [Parameter(s.name, value=s.default)], state) == HmrConfig()


def test_descriptors_say_ranges_and_choices(node):
    n = node()
    declare_settings(n)
    for s in settings():
        d = n.describe_parameter(s.name)
        assert not d.read_only and d.description == described(s)
        assert all(c in d.additional_constraints for c in s.choices) and "changes" in d.additional_constraints
        ranges = [*d.floating_point_range, *d.integer_range]
        assert [(r.from_value, r.to_value) for r in ranges] == ([] if s.at_least is None else [(s.at_least, s.at_most)])
        assert bool(d.floating_point_range) == (s.at_least is not None and isinstance(s.default, float)), s.name


def test_start_arguments_become_ros_arguments(file):
    config = file("")
    given = ["image_topic:=/cam/color", config, "namespace:=robot", "use_sim_time:=true"]
    expected = ["--ros-args", "--params-file", config.removeprefix("config:="), "-r", "__ns:=/robot"]
    expected += ["-p", "input.image_topic:=/cam/color", "-p", "use_sim_time:=true"]
    assert ros_arguments(given) == expected
    assert ros_arguments(["--ros-args", "-p", "x:=1"]) == ["--ros-args", "-p", "x:=1"]


def test_a_parameter_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"no parameter file .*typo\.yaml; check config:="):
        ros_arguments([f"config:={tmp_path / 'typo.yaml'}"])


def test_arguments_that_were_not_given_set_no_parameter():
    assert node_parameters({a.name: a.default for a in START_ARGUMENTS}) == {}
    assert node_parameters({"camera_info_topic": "/i", "use_sim_time": "False", "config": "f.yaml"}) == {
        "input.camera_info_topic": "/i",
        "use_sim_time": False,
    }
    with pytest.raises(ConfigError, match="must be true or false"):
        node_parameters({"use_sim_time": "yes please"})


def test_a_launcher_gives_the_node_what_was_given_and_nothing_else(file):
    defaults = {a.name: a.default for a in START_ARGUMENTS}
    config = file("").removeprefix("config:=")
    bare = launched_node({**defaults, "config": config}, {"HOME": "/root"}, "profile.xml")
    profile = dict.fromkeys(PROFILE_VARIABLES, "profile.xml")
    assert bare == {"namespace": "", "parameters": [config], "ros_arguments": [], "additional_env": profile, **RESTED}

    given = {"config": config, "image_topic": "/arg", "use_sim_time": "true", "namespace": "robot", "log_level": "warn"}
    full = launched_node({**defaults, **given}, {PROFILE_VARIABLES[1]: "mine.xml"}, "profile.xml")
    assert full == {
        "namespace": "robot",
        "parameters": [config, {"input.image_topic": "/arg", "use_sim_time": True}],
        "ros_arguments": ["--log-level", "warn"],
        "additional_env": {PROFILE_VARIABLES[0]: "mine.xml"},
        **RESTED,
    }
    again = launched_node({**defaults, "respawn": "true"}, {}, "profile.xml")
    assert again["respawn"] is True and again["respawn_delay"] > 0


def test_a_launcher_is_told_of_names_that_are_slips():
    assert slips(["image_topci", "image_topic", "robot_model", "respwan"]) == [
        "there is no argument 'image_topci'; did you mean 'image_topic'?",
        "there is no argument 'respwan'; did you mean 'respawn'?",
    ]


@pytest.mark.parametrize("text", ["threads: 3", "hmr:\n  threads: 3", "- a", "7", "a: ["])
def test_a_file_that_ros_would_not_read_is_refused_with_the_cure(file, text):
    with pytest.raises(ConfigError, match=r"parameter file .*(ros__parameters|not valid YAML)") as caught:
        ros_arguments([file(text)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "/robot: {hmr: {ros__parameters: {threads: 3}}}"])
def test_empty_files_and_nested_namespaces_are_parameter_files(file, text):
    assert "--params-file" in ros_arguments([file(text)])


@pytest.mark.parametrize("bad", ["imagetopic:=/x", "--verbose", "rviz:=true"])
def test_unknown_start_arguments_are_refused(bad):
    with pytest.raises(ConfigError):
        ros_arguments([bad])


def test_start_arguments_name_real_settings():
    names = {s.name for s in settings()} | {"use_sim_time", ""}
    assert all(a.setting in names for a in START_ARGUMENTS)


def test_launch_files_compile_and_take_the_table():
    for name in ("live", "bag", "multi_camera"):
        source = share_file(f"launch/{name}.launch.py").read_text()
        compile(source, name, "exec")
    assert "START_ARGUMENTS" in share_file("launch/live.launch.py").read_text()


def test_rviz_set_up_is_valid_and_shows_our_topics():
    tree = yaml.safe_load(share_file("config/hmr.rviz").read_text())
    topics = {d["Topic"]["Value"] for d in tree["Visualization Manager"]["Displays"] if "Topic" in d}
    assert topics == {"/hmr/markers", "/hmr/mesh", "/hmr/overlay"}


def test_the_fusion_node_has_a_table_of_its_own():
    given = ["cameras:=/c.yaml", "target_frame:=map", "autostart:=false", "namespace:=robot"]
    expected = ["--ros-args", "-r", "__ns:=/robot"]
    for name, value in (("cameras", "/c.yaml"), ("output.target_frame", "map"), ("autostart", "false")):
        expected += ["-p", f"{name}:={value}"]
    found = ros_arguments(given, FUSION_ARGUMENTS)
    assert found[:3] == expected[:3] and {*found} == {*expected}
    with pytest.raises(ConfigError, match="unknown argument 'image_topic:=/a'; give cameras:="):
        ros_arguments(["image_topic:=/a"], FUSION_ARGUMENTS)
    known = {s.name for s in settings(FusionConfig())} | {"use_sim_time", ""}
    assert {a.setting for a in FUSION_ARGUMENTS} <= known


def test_every_number_of_the_fusion_node_has_a_range():
    for s in settings(FusionConfig()):
        assert s.doc
        if type(s.default) in (int, float):
            assert s.at_least is not None and s.at_most is not None, s.name
