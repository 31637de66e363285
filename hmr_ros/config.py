"""All settings as frozen dataclasses, and the only YAML reader; the same tree is the table of ROS parameters.

Every field carries its description, so the command line, the node and the documentation say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hmr_ros.errors import ConfigError

T = TypeVar("T")


def option(default: T, doc: str, choices: tuple[str, ...] = ()) -> T:
    """A dataclass field with its description and, where the value is a name, the names that exist."""
    value: T = field(default=default, metadata={"doc": doc, "choices": choices})
    return value


RECOVER = ("kinematic", "posture")
REFINE = ("none", "keypoints", "temporal")
MESH2D = ("keypoints", "image")
LANDMARK_NETWORKS = ("auto", "full", "heavy", "both")
ENGINES = ("auto", "torch", "onnxruntime", "tensorrt")


@dataclass(frozen=True)
class InputConfig:
    """What the node subscribes."""

    image_topic: str = option("/camera/image_raw", "image topic; sensor_msgs/Image, or CompressedImage if `compressed`")
    camera_info_topic: str = option("/camera/camera_info", "topic of the intrinsics that belong to the image")
    compressed: bool = option(False, "subscribe sensor_msgs/CompressedImage instead of Image")
    reliability: str = option("best_effort", "QoS of the image subscription", ("best_effort", "reliable"))


@dataclass(frozen=True)
class OutputConfig:
    """What the node publishes beside its topics."""

    tf: bool = option(True, "broadcast one frame a person on /tf (only where tf2_msgs is installed)")
    tf_prefix: str = option("body_", "name of a person's frame: this prefix and the track id")
    diagnostics_period_s: float = option(1.0, "seconds between two messages on /diagnostics")


@dataclass(frozen=True)
class DetectorConfig:
    """How people are found."""

    min_score: float = option(0.5, "proposals of the person detector below this score are ignored")
    tile_fractions: str = option("0.6,0.4", "side of the search tiles as fractions of the image height; empty: none")
    scan_period_s: float = option(1.0, "seconds within which every tile is searched once")
    scan_first_frame: bool = option(False, "search all tiles in the first frame (offline: on; live: costs latency)")
    before_answer: bool = option(False, "search a frame before it is answered (offline: on), not after (live)")
    max_checks_per_frame: int = option(1, "proposals confirmed by the landmark network in one frame; 0: all")


@dataclass(frozen=True)
class TrackerConfig:
    """How people are followed."""

    min_landmark_score: float = option(0.6, "a new person needs this score of the landmark network")
    keep_landmark_score: float = option(0.5, "a tracked person is given up for this frame below this score")
    max_occlusion_s: float = option(1.5, "seconds for which the id of a person out of sight is kept")
    landmark_network: str = option(
        "auto",
        "BlazePose's smaller (full) or larger network (heavy: fetched once, 28 MB, six times as slow), or the mean of"
        " what both say; auto: full live, both for files where heavy can be had",
        LANDMARK_NETWORKS,
    )
    flip_test: bool = option(
        False,
        "look at every person once more, mirrored; steadier, and costs a landmark inference (each network: its own)",
    )
    max_people: int = option(8, "people tracked at once, the most certain first; each costs one landmark inference")


@dataclass(frozen=True)
class HmrConfig:
    """The whole configuration; file layout = this tree."""

    recover: str = option("posture", "how the SMPL pose is found", RECOVER)
    refine: str = option(
        "temporal",
        "how the pose is refined (recover: posture): by its key points alone or over a window of frames",
        REFINE,
    )
    window: int = option(16, "frames that refinement looks at together (refine: temporal)")
    lag: int = option(0, "frames for which refinement over time waits, up to 4; steadier; 0: none live, 4 for files")
    landmark_sigma_m: float = option(
        0.05,
        "m by which a clear landmark may be off (refine: temporal); larger is steadier and follows fast limbs later",
    )
    engine: str = option("auto", "what runs the networks", ENGINES)
    mesh2d: str = option(
        "keypoints",
        "what the 2D mesh is made of (recover: posture): the landmarks, or the picture itself (less accurate)",
        MESH2D,
    )
    image_weights: str = option(
        "", "other weights of the network that looks at the picture (mesh2d: image; engine: auto or torch)"
    )
    steps: int = option(2, "steps of the posture decoder (recover: posture)")
    threads: int = option(2, "processor threads of each network")
    body: str = option("", "SMPL file (.npz or .pkl) to use instead of the open body that is shipped")
    input: InputConfig = field(default_factory=InputConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)


@dataclass(frozen=True)
class Setting:
    """One leaf of the configuration tree."""

    name: str  # dotted, e.g. "tracker.max_people"
    default: Any
    doc: str
    choices: tuple[str, ...]


def settings(config: Any = None, prefix: str = "") -> Iterator[Setting]:
    """Every leaf of the tree in file order: the shared table of parameters, launch arguments and documentation."""
    config = HmrConfig() if config is None else config
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from settings(value, f"{prefix}{f.name}.")
        else:
            yield Setting(prefix + f.name, value, f.metadata["doc"], f.metadata["choices"])


def with_values(config: HmrConfig, values: Mapping[str, Any]) -> HmrConfig:
    """`config` with dotted names replaced, each checked for existence, type and choice (ConfigError names the cure)."""
    known = {s.name: s for s in settings(config)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"unknown setting '{name}'; known are: {', '.join(known)}")
        config = _with_value(config, name.split("."), _checked(known[name], value))
    return config


def read_config(path: Path | str, base: HmrConfig | None = None) -> HmrConfig:
    """Configuration from a YAML file: either the plain tree, or a ROS parameter file (node: ros__parameters: tree)."""
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read config file {path}: {error.strerror}; check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"config file {path} holds no settings: expected 'name: value' lines")
    for inner in tree.values():
        if isinstance(inner, dict) and "ros__parameters" in inner:
            tree = dict(inner["ros__parameters"] or {})
            break
    tree.pop("use_sim_time", None)  # a parameter of every ROS node, not ours
    return with_values(base or HmrConfig(), dict(_flatten(tree)))


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _checked(setting: Setting, value: Any) -> Any:
    kind = type(setting.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"setting '{setting.name}' must be a {kind.__name__}, not {value!r}")
    if setting.choices and value not in setting.choices:
        raise ConfigError(f"setting '{setting.name}' is '{value}'; choose one of {', '.join(setting.choices)}")
    return value


def _with_value(config: Any, path: list[str], value: Any) -> Any:
    if len(path) == 1:
        return replace(config, **{path[0]: value})
    return replace(config, **{path[0]: _with_value(getattr(config, path[0]), path[1:], value)})
