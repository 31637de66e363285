"""One table of what can be given at start, for launch files and `hmr live`; ROS parameters as settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hmr_ros.config import HmrConfig, settings, with_values
from hmr_ros.errors import ConfigError


@dataclass(frozen=True)
class StartArgument:
    """One `name:=value` of `ros2 launch hmr_ros live.launch.py` and of `hmr live`."""

    name: str
    default: str
    doc: str
    setting: str = ""  # the parameter it sets, where it sets one


START_ARGUMENTS = (
    StartArgument("image_topic", "/camera/image_raw", "image topic", "input.image_topic"),
    StartArgument("camera_info_topic", "/camera/camera_info", "topic of the intrinsics", "input.camera_info_topic"),
    StartArgument("config", "", "parameter file; empty: the defaults of config/live.yaml"),
    StartArgument("namespace", "", "namespace of the node"),
    StartArgument("use_sim_time", "false", "take the time from /clock", "use_sim_time"),
    StartArgument("log_level", "info", "debug, info, warn, error"),
    StartArgument("rviz", "false", "start RViz with config/hmr.rviz (launch files only)"),
)


def ros_arguments(argv: list[str]) -> list[str]:
    """`name:=value` of the table and ROS arguments (`--ros-args ...`) -> ROS arguments alone."""
    table = {a.name: a for a in START_ARGUMENTS}
    out = ["--ros-args"]
    for position, text in enumerate(argv):
        if text == "--ros-args":
            return [*out, *argv[position + 1 :]]
        name, separator, value = text.partition(":=")
        if not separator or name not in table:
            known = ", ".join(f"{n}:=" for n in table)
            raise ConfigError(f"unknown argument '{text}'; give {known} or --ros-args -p name:=value")
        out += _ros_argument(table[name], value)
    return out


def _ros_argument(argument: StartArgument, value: str) -> list[str]:
    special = {
        "config": ["--params-file", value],
        "namespace": ["-r", f"__ns:=/{value.strip('/')}"],
        "log_level": ["--log-level", value],
    }
    if argument.name == "rviz":
        raise ConfigError("rviz:= needs a launcher; use `ros2 launch hmr_ros live.launch.py rviz:=true`")
    if not value:
        return []
    return special.get(argument.name) or ["-p", f"{argument.setting}:={value}"]


def declare_settings(node: Any) -> HmrConfig:
    """Declare every setting as a parameter of `node` and return the configuration that results."""
    from rcl_interfaces.msg import ParameterDescriptor

    values = {}
    for s in settings():
        text = s.doc + (f" ({', '.join(s.choices)})" if s.choices else "")
        # applied at start, so a later change is refused instead of ignored
        descriptor = ParameterDescriptor(description=text, read_only=True)
        values[s.name] = node.declare_parameter(s.name, s.default, descriptor).value
    return with_values(HmrConfig(), values)
