"""One table of what can be given at start, for launch files and `hmr live`; ROS parameters as settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmr_ros.config import HmrConfig, Setting, settings, with_values
from hmr_ros.errors import ConfigError
from hmr_ros.ros.environment import profile_environment

SIM_TIME = "use_sim_time"  # a parameter that every ROS node has


@dataclass(frozen=True)
class StartArgument:
    """One `name:=value` of `ros2 launch hmr_ros live.launch.py` and of `hmr live`."""

    name: str
    default: str
    doc: str
    setting: str = ""  # the parameter it sets, where it sets one


# an argument that is not given leaves the parameter file alone, so none that sets a parameter has a default
START_ARGUMENTS = (
    StartArgument("image_topic", "", "image topic; empty: as the parameter file says", "input.image_topic"),
    StartArgument(
        "camera_info_topic", "", "topic of the intrinsics; empty: as the parameter file says", "input.camera_info_topic"
    ),
    StartArgument(
        "depth_topic", "", "topic of registered depth; empty: as the parameter file says", "input.depth_topic"
    ),
    StartArgument("config", "", "parameter file; empty: the defaults of config/live.yaml"),
    StartArgument("namespace", "", "namespace of the node"),
    StartArgument("use_sim_time", "", "true: take the time from /clock; empty: as the parameter file says", SIM_TIME),
    StartArgument("log_level", "", "debug, info, warn, error"),
    StartArgument("rviz", "false", "start RViz with config/hmr.rviz (launch files only)"),
)


def ros_arguments(argv: list[str]) -> list[str]:
    """`name:=value` of the table and ROS arguments (`--ros-args ...`) -> ROS arguments alone.

    ROS lets the later one of a file and a parameter win, so the file goes first and an argument beats it in any order.
    """
    split = argv.index("--ros-args") if "--ros-args" in argv else len(argv)
    given = _given(argv[:split])
    out = ["--ros-args"]
    if file := parameter_file(given):
        out += ["--params-file", file]
    if namespace := given.get("namespace", "").strip("/"):
        out += ["-r", f"__ns:=/{namespace}"]
    if log_level := given.get("log_level"):
        out += ["--log-level", log_level]
    for name, value in node_parameters(given).items():
        out += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
    return [*out, *argv[split + 1 :]]


def parameter_file(given: Mapping[str, str]) -> str:
    """Path of the parameter file, empty where none is given; ConfigError where it is not there (launch only warns)."""
    path = given.get("config", "")
    if path and not Path(path).is_file():
        raise ConfigError(f"there is no parameter file {path}; check config:=")
    return path


def node_parameters(given: Mapping[str, str]) -> dict[str, str | bool]:
    """The parameters that start arguments set: those of `given` (name -> text) that are not empty."""
    texts = {a.setting: given[a.name] for a in START_ARGUMENTS if a.setting and given.get(a.name)}
    return {name: _truth(text) if name == SIM_TIME else text for name, text in texts.items()}


def launched_node(given: Mapping[str, str], environment: Mapping[str, str], profile: str) -> dict[str, Any]:
    """What launch's action `Node` gets of the start arguments (name -> text) in a launcher's `environment`.

    The DDS profile for images is in the node's own environment. Parameters stand behind the file, so they win.
    """
    parameters = [p for p in (parameter_file(given), node_parameters(given)) if p]
    return {
        "namespace": given.get("namespace", ""),
        "parameters": parameters,
        "ros_arguments": ["--log-level", given["log_level"]] if given.get("log_level") else [],
        "additional_env": profile_environment(environment, profile),
    }


def _given(argv: list[str]) -> dict[str, str]:
    names = [a.name for a in START_ARGUMENTS]
    given = {}
    for text in argv:
        name, separator, value = text.partition(":=")
        if not separator or name not in names:
            known = ", ".join(f"{n}:=" for n in names)
            raise ConfigError(f"unknown argument '{text}'; give {known} or --ros-args -p name:=value")
        if name == "rviz":
            raise ConfigError("rviz:= needs a launcher; use `ros2 launch hmr_ros live.launch.py rviz:=true`")
        given[name] = value
    return given


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"argument '{SIM_TIME}' must be true or false, not '{text}'")
    return text.lower() == "true"


def declare_settings(node: Any) -> HmrConfig:
    """Declare every setting as a parameter of `node` and return the configuration that results.

    ConfigError names the first parameter whose value is not allowed, and what is.
    """
    from rcl_interfaces.msg import ParameterDescriptor

    values = {}
    for s in settings():
        # first with any type: YAML has `2` where 2.0 is meant, and what else does not fit is refused in our words
        given = node.declare_parameter(s.name, s.default, ParameterDescriptor(dynamic_typing=True)).value
        values[s.name] = s.converted(given)
        node.undeclare_parameter(s.name)
        node.declare_parameter(s.name, values[s.name], _descriptor(s), ignore_override=True)
    return with_values(HmrConfig(), values)


def described(setting: Setting) -> str:
    """What a setting means and which values it takes, as config/live.yaml and `ros2 param describe` show it."""
    if setting.choices:
        return f"{setting.doc} ({' | '.join(setting.choices)})"
    return setting.doc if setting.at_least is None else f"{setting.doc} ({setting.at_least:g} to {setting.at_most:g})"


def _descriptor(setting: Setting) -> Any:
    """What tools show of a parameter, with its range."""
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    # applied at start, so a later change is refused instead of ignored
    descriptor = ParameterDescriptor(description=described(setting), read_only=True)
    low, high = setting.at_least, setting.at_most
    if low is not None and high is not None:
        if isinstance(setting.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor
