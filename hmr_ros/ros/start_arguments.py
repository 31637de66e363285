"""One table a node of what can be given at start, for launch files, `hmr live` and `hmr fuse`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmr_ros.errors import ConfigError
from hmr_ros.ros.environment import profile_environment
from hmr_ros.yaml_files import load_yaml

SIM_TIME = "use_sim_time"  # a parameter that every ROS node has
AUTOSTART = "autostart"
_NEAR = 0.8  # likeness from which a name is taken for a slip


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
    StartArgument(
        "detections_topic",
        "",
        "topic of another detector's boxes of people; empty: as the parameter file says",
        "input.detections_topic",
    ),
    StartArgument(
        "target_frame",
        "",
        "frame of the answers; empty: as the parameter file says, else the image's",
        "output.target_frame",
    ),
    StartArgument("config", "", "parameter file; empty: the defaults of config/live.yaml"),
    StartArgument("namespace", "", "namespace of the node"),
    StartArgument("use_sim_time", "", "true: take the time from /clock; empty: as the parameter file says", SIM_TIME),
    StartArgument("log_level", "", "debug, info, warn, error"),
    StartArgument("autostart", "", "false: wait for lifecycle commands; empty: as the parameter file says", AUTOSTART),
    StartArgument("rviz", "false", "start RViz for this namespace and frame (launch files only)"),
    StartArgument(
        "fixed_frame", "", "RViz's fixed frame; empty: target_frame, else camera_optical_frame (launch files only)"
    ),
    StartArgument("respawn", "false", "true: start a node again that has died (launch files only)"),
)
RVIZ_ONLY = ("rviz", "fixed_frame")
LAUNCHER_ONLY = (*RVIZ_ONLY, "respawn")
_RESPAWN_S = 2.0  # between a node's death and its next start

_BOTH = ("namespace", "use_sim_time", "log_level", "autostart")
FUSION_ARGUMENTS = (
    StartArgument("cameras", "", "file that names the cameras; empty: as the parameter file says", "cameras"),
    StartArgument(
        "target_frame", "", "common frame; empty: as the parameter file says, else world", "output.target_frame"
    ),
    StartArgument("config", "", "parameter file of the node fusion; empty: the defaults"),
    *(a for a in START_ARGUMENTS if a.name in _BOTH),
)


def ros_arguments(argv: list[str], table: Sequence[StartArgument] = START_ARGUMENTS) -> list[str]:
    """`name:=value` of the table and ROS arguments (`--ros-args ...`) -> ROS arguments alone.

    ROS lets the later one of a file and a parameter win, so the file goes first and an argument beats it in any order.
    """
    split = argv.index("--ros-args") if "--ros-args" in argv else len(argv)
    given = _given(argv[:split], table)
    out = ["--ros-args"]
    if file := parameter_file(given):
        out += ["--params-file", file]
    if namespace := given.get("namespace", "").strip("/"):
        out += ["-r", f"__ns:=/{namespace}"]
    if log_level := given.get("log_level"):
        out += ["--log-level", log_level]
    for name, value in node_parameters(given, table).items():
        out += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
    return [*out, *argv[split + 1 :]]


def parameter_file(given: Mapping[str, str]) -> str:
    """Path of the parameter file, empty where none is given; ConfigError where it is not there (launch only warns), or
    is not what ROS reads."""
    path = given.get("config", "")
    if not path:
        return path
    if not Path(path).is_file():
        raise ConfigError(f"there is no parameter file {path}; check config:=")
    try:
        tree = load_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"parameter file {path} is not valid YAML: {error}") from error
    nodes = tree.values() if isinstance(tree, dict) else [None]
    if tree is not None and not all(_has_parameters(node) for node in nodes):
        raise ConfigError(
            f"parameter file {path} is no ROS parameter file: put its settings under `/**:` and `ros__parameters:`,"
            " as in config/live.yaml"
        )
    return path


def _has_parameters(tree: Any) -> bool:
    """Whether a node's part of a parameter file, or a namespace's part in it, leads to `ros__parameters`."""
    return isinstance(tree, dict) and ("ros__parameters" in tree or any(map(_has_parameters, tree.values())))


def node_parameters(
    given: Mapping[str, str], table: Sequence[StartArgument] = START_ARGUMENTS
) -> dict[str, str | bool]:
    """The parameters that start arguments set: those of `given` (name -> text) that are not empty."""
    texts = {a.setting: given[a.name] for a in table if a.setting and given.get(a.name)}
    return {name: _truth(name, text) if name in (SIM_TIME, AUTOSTART) else text for name, text in texts.items()}


def launched_node(
    given: Mapping[str, str],
    environment: Mapping[str, str],
    profile: str,
    table: Sequence[StartArgument] = START_ARGUMENTS,
) -> dict[str, Any]:
    """What launch's action `Node` gets of the start arguments (name -> text) in a launcher's `environment`.

    The DDS profile for images is in the node's own environment. Parameters stand behind the file, so they win.
    """
    parameters = [p for p in (parameter_file(given), node_parameters(given, table)) if p]
    return {
        "namespace": given.get("namespace", ""),
        "parameters": parameters,
        "ros_arguments": ["--log-level", given["log_level"]] if given.get("log_level") else [],
        "additional_env": profile_environment(environment, profile),
        "respawn": _truth("respawn", given.get("respawn") or "false"),
        "respawn_delay": _RESPAWN_S,
    }


def slips(given: Iterable[str], table: Sequence[StartArgument] = START_ARGUMENTS) -> list[str]:
    """A line for each name given to a launcher that is nearly one of the table: launch takes whatever it is given."""
    names = [a.name for a in table]
    near = {name: difflib.get_close_matches(name, names, 1, _NEAR) for name in given if name not in names}
    return [f"there is no argument '{name}'; did you mean '{match[0]}'?" for name, match in near.items() if match]


def _given(argv: list[str], table: Sequence[StartArgument]) -> dict[str, str]:
    names = [a.name for a in table]
    given = {}
    for text in argv:
        name, separator, value = text.partition(":=")
        if not separator or name not in names:
            known = ", ".join(f"{n}:=" for n in names)
            raise ConfigError(f"unknown argument '{text}'; give {known} or --ros-args -p name:=value")
        if name in LAUNCHER_ONLY:
            raise ConfigError(f"{name}:= needs a launcher; use `ros2 launch hmr_ros live.launch.py {name}:={value}`")
        given[name] = value
    return given


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"argument '{name}' must be true or false, not '{text}'")
    return text.lower() == "true"
