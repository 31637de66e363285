"""All settings as frozen dataclasses; the same tree is the table of ROS parameters.

Every field carries its description, so the command line, the node and the documentation say the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hmr_ros.config_groups import (
    ACTIVATE,
    LIVE,
    QUATERNION,
    CameraConfig,
    StreamConfig,
    WorldConfig,
    option,
    quaternion_text,
)
from hmr_ros.errors import ConfigError
from hmr_ros.methods.registry import CALIBRATIONS, MAX_LAG, RECOVERIES, REFINEMENTS
from hmr_ros.yaml_files import flattened, named_yaml

T = TypeVar("T")


RECOVER = tuple(RECOVERIES)
CALIBRATE = ("none", "auto", *CALIBRATIONS)
REFINE = ("none", *REFINEMENTS)
MESH2D = ("keypoints", "image")
DETECTORS = ("auto", "blazepose", "movenet", "both", "external")
LANDMARK_NETWORKS = ("auto", "full", "heavy", "both")
UNCERTAINTY = ("none", "ellipses", "hypotheses")  # what an overlay shows of it
TRANSPORTS = ("auto", "raw", "compressed")
RECTIFIED = ("auto", "always", "never")
ENGINES = ("auto", "torch", "onnxruntime", "tensorrt")
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class InputConfig:
    """What the node subscribes, and how the camera is mounted."""

    image_topic: str = option("image", "image topic; relative names follow namespace and remaps", when=ACTIVATE)
    camera_info_topic: str = option(
        "",
        "topic of the intrinsics; empty: `camera_info` where that is remapped, else beside the images",
        when=ACTIVATE,
    )
    depth_topic: str = option(
        "",
        "topic of depth registered to the image: 16UC1, 32FC1, or compressedDepth by its name; empty: `depth` where"
        " that is remapped, else none",
        when=ACTIVATE,
    )
    detections_topic: str = option(
        "",
        "topic of boxes of people from another detector (hmr_ros/RoiArray or vision_msgs/Detection2DArray) that takes"
        " our own's place; empty: `detections` where that is remapped or detector.kind is external, else none",
    )
    detections_classes: str = option(
        "person",
        "class_ids of vision_msgs/Detection2DArray that are people, separated by commas; boxes without one always are",
        when=ACTIVATE,
    )
    detections_max_age_s: float = option(
        0.3,
        "seconds that boxes may lie apart from an image whose own have not come, for detectors slower than the camera",
        at_least=0,
        at_most=2,
        when=ACTIVATE,
    )
    transport: str = option(
        "auto",
        "sensor_msgs/Image or CompressedImage; auto: what is published on the topic, or on TOPIC/compressed",
        TRANSPORTS,
        when=ACTIVATE,
    )
    reliability: str = option(
        "best_effort",
        "QoS of the subscriptions of images, depth and detections; qos_overrides go before it",
        ("best_effort", "reliable"),
        when=ACTIVATE,
    )
    rectified: str = option(
        "auto",
        "whether images are rectified already: projected with P, no distortion; auto: topics named image_rect*",
        RECTIFIED,
        when=ACTIVATE,
    )
    optical_frame: str = option(
        "",
        "optical frame (x right, y down, z forward) of the camera, where the images' frame_id names none or another;"
        " empty: as the images say",
        when=ACTIVATE,
    )
    rotate: int = option(
        0,
        "degrees clockwise that make the images of a camera that is mounted sideways or upside down upright: 0, 90, 180"
        " or 270; answers stay in the original image and camera frame",
        at_least=0,
        at_most=270,
    )
    max_megapixels: float = option(
        134.0, "larger images and depth are refused before they are decoded", at_least=0.01, at_most=134, when=LIVE
    )

    @property
    def max_pixels(self) -> int:
        """max_megapixels in pixels."""
        return round(self.max_megapixels * 1e6)


@dataclass(frozen=True)
class OutputConfig:
    """What the node publishes beside its topics, and in which frame."""

    target_frame: str = option(
        "", "frame of everything that is published, by /tf at the image's stamp; empty: the image's", when=ACTIVATE
    )
    target_timeout_s: float = option(
        0.1, "seconds for which an answer waits for the transform to target_frame", at_least=0, at_most=5, when=LIVE
    )
    tf: bool = option(True, "broadcast one frame a person on /tf (only where tf2_msgs is installed)", when=LIVE)
    tf_joints: bool = option(False, "broadcast the joints of each person too, as children of the person", when=LIVE)
    tf_prefix: str = option(
        "", "a person's frame is this and the track id; empty: body_p, or body_ with the node's names unless it is /hmr"
    )
    ros4hri: bool = option(
        True, "publish people for ROS4HRI and on /people too, where hri_msgs and people_msgs are installed", when=LIVE
    )
    searching_s: float = option(
        0.5,
        "seconds for which a person out of sight is published where they should be",
        at_least=0,
        at_most=2,
        when=LIVE,
    )
    marker_lifetime_s: float = option(
        1.0, "seconds after which markers vanish unless they are renewed; 0: never", at_least=0, at_most=60, when=LIVE
    )
    diagnostics_period_s: float = option(
        1.0, "seconds between two messages on /diagnostics", at_least=0.1, at_most=_LONGEST_S, when=LIVE
    )


@dataclass(frozen=True)
class DetectorConfig:
    """How people are found."""

    kind: str = option(
        "auto",
        "what finds people: BlazePose's detector (faces and hips), MoveNet MultiPose (bodies from any side, covered"
        " faces, small people; twice the time a look and fewer looks), MoveNet and on the whole image both, or"
        " external: boxes from a topic (node alone); auto: external where input.detections_topic is given or"
        " `detections` remapped, else movenet where it is installed",
        DETECTORS,
    )
    min_score: float = option(
        0.5, "proposals of the person detector below this score are ignored", at_least=0, at_most=1, when=LIVE
    )
    tile_fractions: str = option(
        "auto",
        "side of the search tiles as fractions of the image height; empty: none; auto: 0.6, for blazepose 0.6,0.4",
    )
    scan_period_s: float = option(
        1.0, "seconds within which every tile is searched once", at_least=0.01, at_most=_LONGEST_S, when=LIVE
    )
    scan_first_frame: bool = option(False, "search all tiles in the first frame (offline: on; live: costs latency)")
    before_answer: bool = option(False, "search a frame before it is answered (offline: on), not after (live)")
    max_checks_per_frame: int = option(
        1, "proposals confirmed by the landmark network in one frame; 0: all", at_least=0, at_most=1000, when=LIVE
    )


@dataclass(frozen=True)
class TrackerConfig:
    """How people are followed."""

    min_landmark_score: float = option(
        0.6, "a new person needs this score: how likely their landmarks are right", at_least=0, at_most=1, when=LIVE
    )
    keep_landmark_score: float = option(
        0.5, "a tracked person is lost in this frame below this score", at_least=0, at_most=1, when=LIVE
    )
    max_occlusion_s: float = option(
        1.5,
        "seconds for which a person out of sight is looked for where they should be",
        at_least=0,
        at_most=_LONGEST_S,
        when=LIVE,
    )
    remember_s: float = option(
        10.0,
        "seconds within which somebody who left, or was lost for longer, gets their id again when place, size and"
        " clothes say that it is them; 0: never",
        at_least=0,
        at_most=_LONGEST_S,
        when=LIVE,
    )
    landmark_network: str = option(
        "auto",
        "BlazePose full or heavy (28 MB, six times as slow), or the ensemble of both; auto: full live, both for files"
        " where heavy is installed",
        LANDMARK_NETWORKS,
    )
    others_every: int = option(
        3,
        "with `both`, of a person who hardly moves: images of which heavy looks at one, what it changes is held in the"
        " others; 1: it looks at every image",
        at_least=1,
        at_most=30,
        when=LIVE,
    )
    flip_test: bool = option(
        False,
        "test-time augmentation with the mirror image; steadier, one more landmark inference a person and network",
    )
    limbs: bool = option(
        True,
        "whether the limb network says of the image how each bone leans; only where full is the first to look",
    )
    max_people: int = option(
        8,
        "people tracked at once, first come, first served, the larger first; each costs one landmark inference",
        at_least=1,
        at_most=64,
        when=LIVE,
    )


@dataclass(frozen=True)
class PostureConfig:
    """PostureHMR (recover: posture)."""

    steps: int = option(2, "steps of the decoder from T-pose to posture", at_least=1, at_most=100)
    mesh2d: str = option(
        "keypoints", "what the 2D mesh is made of: the landmarks, or the image crop itself (less accurate)", MESH2D
    )
    image_weights: str = option(
        "", "other weights of the network that sees the image (posture.mesh2d: image; engine: auto or torch)"
    )


@dataclass(frozen=True)
class HypothesesConfig:
    """Several poses that the evidence allows (Diff-HMR)."""

    count: int = option(0, "hypotheses given with every person; 0: none", at_least=0, at_most=100)
    seed: int = option(0, "of the noise that they are made from", at_least=0, at_most=99999)


@dataclass(frozen=True)
class HmdiffConfig:
    """HMDiff (recover: hmdiff)."""

    steps: int = option(4, "steps of the reverse diffusion", at_least=1, at_most=1000)
    samples: int = option(8, "samples a person, whose mean is the answer", at_least=1, at_most=64)
    seed: int = option(0, "of the noise; the same seed gives the same answer", at_least=0, at_most=99999)
    align: bool = option(
        True, "draw the samples towards heat maps, depth distribution and, where there is a depth image, depth joints"
    )


@dataclass(frozen=True)
class TemporalConfig:
    """ScoreHMR over a sliding window (refine: temporal)."""

    window: int = option(16, "frames refined together", at_least=2, at_most=256)
    lag: int = option(
        0, "frames by which answers are late; steadier; 0: none live, 4 for files", at_least=0, at_most=MAX_LAG
    )
    landmark_sigma_m: float = option(
        0.016,
        "standard deviation of a fully confident landmark, metres; larger is steadier and follows fast limbs later",
        at_least=0.001,
        at_most=10,
        when=LIVE,
    )


@dataclass(frozen=True)
class HmrConfig:
    """The whole configuration; file layout = this tree."""

    recover: str = option("posture", "how the SMPL pose is found", RECOVER)
    calibrate: str = option(
        "auto",
        "how people are moved to joints that a depth image or, in hmr multiview, calibrated views show: bone by bone"
        " (parallel) or by another fit; serial: to their own joints lifted anew; auto: fit, where there is depth",
        CALIBRATE,
    )
    refine: str = option(
        "temporal", "how the pose is refined: by its key points alone, or over a window of frames", REFINE
    )
    engine: str = option("auto", "what runs the networks", ENGINES)
    threads: int = option(2, "processor threads of each network", at_least=1, at_most=256)
    body: str = option("", "SMPL file (.npz or .pkl) to use instead of the open body that is shipped")
    autostart: bool = option(True, "configure and activate the node when it starts; false: wait for lifecycle commands")
    posture: PostureConfig = field(default_factory=PostureConfig)
    hypotheses: HypothesesConfig = field(default_factory=HypothesesConfig)
    hmdiff: HmdiffConfig = field(default_factory=HmdiffConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    input: InputConfig = field(default_factory=InputConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    world: WorldConfig = field(default_factory=WorldConfig)


@dataclass(frozen=True)
class Setting:
    """One leaf of the configuration tree."""

    name: str  # dotted, e.g. "tracker.max_people"
    default: Any
    doc: str
    choices: tuple[str, ...]
    at_least: float | None  # both ends of the range are allowed values
    at_most: float | None
    form: str  # of a text: QUATERNION, or empty
    when: str  # LIVE, ACTIVATE or CONFIGURE

    def converted(self, value: Any) -> Any:
        """The value in the setting's own type (an integer is a float too); ConfigError names what is allowed."""
        if self.form == QUATERNION:
            return quaternion_text(self.name, value)
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise ConfigError(f"setting '{self.name}' must be {_KINDS[kind]}, not {value!r}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"setting '{self.name}' is '{value}'; choose one of {', '.join(self.choices)}")
        if self.at_least is not None and self.at_most is not None and not self.at_least <= value <= self.at_most:
            raise ConfigError(f"setting '{self.name}' is {value}; give {self.at_least:g} to {self.at_most:g}")
        return value


_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


def settings(config: Any = None, prefix: str = "") -> Iterator[Setting]:
    """Every leaf of the tree in file order: the shared table of parameters, launch arguments and documentation."""
    config = HmrConfig() if config is None else config
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from settings(value, f"{prefix}{f.name}.")
        else:
            yield Setting(prefix + f.name, value, **f.metadata)


def with_values(config: T, values: Mapping[str, Any]) -> T:
    """`config` with dotted names replaced, each checked for existence, type and choice (ConfigError names the cure)."""
    known = {s.name: s for s in settings(config)}
    for name, value in values.items():
        if name not in known:
            if any(n.startswith(f"{name}.") for n in known):
                raise ConfigError(f"setting '{name}' is a group; give its settings by name, such as '{name}: {{...}}'")
            near = difflib.get_close_matches(name, known, 1) or [n for n in known if n.split(".")[-1] == name]
            hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
            raise ConfigError(f"unknown setting '{name}'; {hint}")
        config = _with_value(config, name.split("."), known[name].converted(value))
    return config


def validated(config: HmrConfig) -> HmrConfig:
    """The same configuration; ConfigError names the first setting with a value that is not allowed."""
    return with_values(config, {s.name: s.default for s in settings(config)})


def read_config(path: Path | str, base: HmrConfig | None = None) -> HmrConfig:
    """Configuration from a YAML file: either the plain tree, or a ROS parameter file (node: ros__parameters: tree)."""
    tree = named_yaml(path, "config file", "check the path")
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"config file {path} holds no settings: expected 'name: value' lines")
    for inner in tree.values():
        if isinstance(inner, dict) and "ros__parameters" in inner:
            tree = inner["ros__parameters"] or {}
            if not isinstance(tree, dict):
                raise ConfigError(f"config file {path}: ros__parameters holds no 'name: value' lines")
            break
    given = dict(flattened(tree))
    given.pop("use_sim_time", None)  # a parameter of every ROS node, not ours
    return with_values(base or HmrConfig(), given)


def _with_value(config: Any, path: list[str], value: Any) -> Any:
    if len(path) == 1:
        return replace(config, **{path[0]: value})
    return replace(config, **{path[0]: _with_value(getattr(config, path[0]), path[1:], value)})
