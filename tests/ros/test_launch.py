"""The launch files, started where a launcher is installed; what they decide is tested in test_parameters.py too."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest
import yaml

from hmr_ros.io.model_store import share_file
from hmr_ros.ros.environment import PROFILE_VARIABLES
from hmr_ros.ros.start_arguments import FUSION_ARGUMENTS, START_ARGUMENTS
from hmr_ros.runtime.cores import usable_cores

pytest.importorskip("launch_ros")

from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription, LaunchService


def start(file="live", **given):
    """Launch FILE.launch.py with these arguments; what its one process was started with."""
    (event,) = launched(file, **given)
    return event


def launched(file="live", *, seconds=1.0, kill_first=False, **given):
    """Launch FILE.launch.py for some seconds; what each process was started with."""
    started = []

    def on_start(event, _):
        started.append(event)
        if kill_first and len(started) == 1:
            os.kill(event.pid, signal.SIGKILL)

    source = PythonLaunchDescriptionSource(str(share_file(f"launch/{file}.launch.py")))
    description = LaunchDescription(
        [
            RegisterEventHandler(OnProcessStart(on_start=on_start)),
            IncludeLaunchDescription(source, launch_arguments=given.items()),
            TimerAction(period=seconds, actions=[EmitEvent(event=Shutdown(reason="seen"))]),
        ]
    )
    service = LaunchService(noninteractive=True)
    service.include_launch_description(description)
    service.run()
    assert {n: v for n, v in service.context.environment.items() if n in PROFILE_VARIABLES} == {
        n: os.environ[n] for n in PROFILE_VARIABLES if n in os.environ
    }, "other processes keep their DDS profile"
    return started


def parameter_files(event):
    """The files in the order in which they are read: a later one wins."""
    return [Path(b) for a, b in zip(event.cmd, event.cmd[1:], strict=False) if a == "--params-file"]


@pytest.fixture
def no_profile(monkeypatch):
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("file", "table"), [("live", START_ARGUMENTS), ("fusion", FUSION_ARGUMENTS)])
def test_arguments_are_those_of_the_table(file, table):
    spec = importlib.util.spec_from_file_location(f"{file}_launch", share_file(f"launch/{file}.launch.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {a.name for a in module.generate_launch_description().get_launch_arguments()}
    assert declared == {a.name for a in table}


def test_fusion_is_told_its_cameras(no_profile):
    event = start("fusion", cameras="/cameras.yaml", target_frame="map", namespace="robot")
    (file,) = parameter_files(event)
    expected = {"cameras": "/cameras.yaml", "output.target_frame": "map"}
    assert yaml.safe_load(file.read_text()) == {"/robot/fusion": {"ros__parameters": expected}}


def test_without_arguments_the_file_alone_speaks(tmp_path, no_profile):
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {input: {image_topic: /file}}}")
    event = start(config=str(file))
    assert parameter_files(event) == [file]
    assert not [a for a in event.cmd if a.startswith(("input.", "use_sim_time"))]
    assert all(event.env[name].endswith("config/fastdds_profile.xml") for name in PROFILE_VARIABLES)


def test_arguments_come_after_the_file_under_the_nodes_own_name(tmp_path, no_profile):
    file = tmp_path / "mine.yaml"
    file.write_text("/robot/hmr: {ros__parameters: {input: {image_topic: /file}}}")
    event = start(config=str(file), image_topic="/arg", use_sim_time="true", namespace="robot", log_level="warn")
    first, second = parameter_files(event)
    expected = {"/robot/hmr": {"ros__parameters": {"input.image_topic": "/arg", "use_sim_time": True}}}
    assert first == file and yaml.safe_load(second.read_text()) == expected
    assert "__ns:=/robot" in event.cmd and event.cmd[event.cmd.index("--log-level") + 1] == "warn"


def test_a_profile_of_the_users_stays(monkeypatch):
    monkeypatch.setenv(PROFILE_VARIABLES[0], "/mine.xml")
    monkeypatch.delenv(PROFILE_VARIABLES[1], raising=False)
    event = start()
    assert {event.env[name] for name in PROFILE_VARIABLES} == {"/mine.xml"}


def test_two_cameras_are_two_nodes_with_their_share_of_the_cores(tmp_path, no_profile):
    file = tmp_path / "cameras.yaml"
    file.write_text("cameras: {left: {image_topic: /l}, right: {image_topic: /r, target_frame: base}}")
    events = {event.cmd[event.cmd.index("-r", event.cmd.index("-r") + 1) + 1]: event
              for event in launched("multi_camera", cameras=str(file), autostart="false")}  # fmt: skip
    assert set(events) == {"__ns:=/left", "__ns:=/right"}
    for side, own in (("left", {"input.image_topic": "/l"}), ("right", {"output.target_frame": "base"})):
        given = {}
        for path in parameter_files(events[f"__ns:=/{side}"])[1:]:
            given |= yaml.safe_load(path.read_text())[f"/{side}/hmr"]["ros__parameters"]
        assert own.items() <= given.items() and given["autostart"] is False
        assert given["threads"] == max(1, usable_cores() // 2)


def test_a_node_that_was_killed_is_started_again():
    first, second = launched(seconds=6.0, kill_first=True, respawn="true")
    assert first.pid != second.pid and first.process_name.split("-")[0] == second.process_name.split("-")[0]


@pytest.mark.parametrize(
    ("topics", "options"),
    [
        ({}, []),
        ({"image_topic": "/camera/image_raw"}, ["--topic", "/camera/image_raw"]),
        ({"depth_topic": "/camera/depth"}, ["--depth-topic", "/camera/depth"]),
    ],
)
def test_a_bag_goes_through_hmr_bag(tmp_path, topics, options):
    given = {"input": f"{tmp_path}/in", "output": f"{tmp_path}/out", "config": "mine.yaml"}
    event = start("bag", **given, **topics)
    expected = [given["input"], given["output"], "--config", "mine.yaml", *options]
    assert event.cmd[0].endswith("lib/hmr_ros/bag") and event.cmd[1:] == expected
