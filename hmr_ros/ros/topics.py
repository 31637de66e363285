"""Everything that the nodes have on the ROS graph, a table each: the reference page and the SROS2 policy are written
from them, and a test compares them with the running nodes.

`python -m hmr_ros.ros.topics page > docs/topics.md`, and with `policy` policies/hmr_ros.policy.xml.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

IN, OUT = "in", "out"
ID = "*"  # in a name: the id of a person, one part of the name


@dataclass(frozen=True)
class Topic:
    """A topic of the node; relative names follow namespace and remaps, ~ is the node."""

    name: str
    types: tuple[str, ...]  # one of these
    direction: str  # IN or OUT
    text: str


@dataclass(frozen=True)
class Service:
    """A service that the node answers."""

    name: str
    type: str
    text: str


_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_TF = "tf2_msgs/msg/TFMessage"
_TF_READ = "for `world.gravity` (auto, tf, imu) and `output.target_frame`, where tf2_msgs is installed"
_WATCHED = "only while subscribed"
TOPICS = (
    Topic("image", (_IMAGE, _COMPRESSED), IN, "`input.image_topic`, `input.transport`, `input.reliability`"),
    Topic("image/compressed", (_COMPRESSED,), IN, "where that is published and `image` is not (`input.transport`)"),
    Topic(
        "camera_info",
        ("sensor_msgs/msg/CameraInfo",),
        IN,
        "best effort; without it, or where no camera can have such numbers, the focal length is guessed"
        " ([input.md](input.md#intrinsics))",
    ),
    Topic(
        "depth",
        (_IMAGE, _COMPRESSED),
        IN,
        "where `depth` is remapped or `input.depth_topic` set: 16UC1, 32FC1, registered to the image",
    ),
    Topic(
        "depth/compressedDepth",
        (_COMPRESSED,),
        IN,
        "likewise, where the topic's name ends so",
    ),
    Topic(
        "detections",
        ("hmr_ros/msg/RoiArray", "vision_msgs/msg/Detection2DArray"),
        IN,
        "where `detections` is remapped, `input.detections_topic` set or `detector.kind: external`: another detector's"
        " boxes of people in place of our own detector ([stack.md](stack.md#your-own-detector))",
    ),
    Topic(
        "imu",
        ("sensor_msgs/msg/Imu",),
        IN,
        "`world.imu_topic`, where one is named: gravity, of a camera that stands still",
    ),
    Topic("/tf", (_TF,), IN, _TF_READ),
    Topic("/tf_static", (_TF,), IN, _TF_READ),
    Topic("/clock", ("rosgraph_msgs/msg/Clock",), IN, "where `use_sim_time` is set"),
    Topic(
        "~/humans",
        ("hmr_ros/msg/HumanArray",),
        OUT,
        "everybody in one image; header = stamp of the image, frame of the answers;"
        " see [msg/Human.msg](../msg/Human.msg)",
    ),
    Topic("~/hypotheses", ("hmr_ros/msg/HypothesisArray",), OUT, f"{_WATCHED} and with `hypotheses.count` above 0"),
    Topic(
        "~/markers",
        ("visualization_msgs/msg/MarkerArray",),
        OUT,
        f"{_WATCHED}; skeleton lines and joints; they vanish after `output.marker_lifetime_s`, or when the person is"
        " lost or the node is deactivated",
    ),
    Topic(
        "~/mesh",
        ("visualization_msgs/msg/Marker",),
        OUT,
        f"{_WATCHED}; one message a person, 6890 vertices as a triangle list; vanishes like markers",
    ),
    Topic(
        "~/joint_states",
        ("sensor_msgs/msg/JointState",),
        OUT,
        f"{_WATCHED}; one message a person, `frame_id` = the person's frame; belongs to"
        " [urdf/human.urdf](../urdf/human.urdf)",
    ),
    Topic("~/overlay", (_IMAGE,), OUT, _WATCHED),
    Topic(
        "~/body_model",
        ("hmr_ros/msg/BodyModel",),
        OUT,
        "latched: enough to pose and draw a person without any licence",
    ),
    Topic("/tf", (_TF,), OUT, "where tf2_msgs is installed (`output.tf`); frames below"),
    Topic(
        "/humans/bodies/tracked",
        ("hri_msgs/msg/IdsList",),
        OUT,
        "ids of everybody, where hri_msgs is installed (`output.ros4hri`);"
        " [ROS4HRI](usage.md#ros4hri-and-social-navigation)",
    ),
    Topic(
        f"/humans/bodies/{ID}/roi",
        ("hri_msgs/msg/NormalizedRegionOfInterest2D",),
        OUT,
        "likewise; region of a body, as shares of the image",
    ),
    Topic(
        f"/humans/bodies/{ID}/skeleton2d",
        ("hri_msgs/msg/Skeleton2D",),
        OUT,
        "likewise; 18 points of a body, as shares of the image",
    ),
    Topic(
        f"/humans/bodies/{ID}/joint_states",
        ("sensor_msgs/msg/JointState",),
        OUT,
        "likewise; 20 angles, for the body's urdf",
    ),
    Topic(f"/humans/bodies/{ID}/urdf", ("std_msgs/msg/String",), OUT, "likewise, latched; a body with its own lengths"),
    Topic(
        "/people",
        ("people_msgs/msg/People",),
        OUT,
        "position and velocity of everybody, where people_msgs is installed (`output.ros4hri`)",
    ),
    Topic(
        "/diagnostics",
        ("diagnostic_msgs/msg/DiagnosticArray",),
        OUT,
        "in every state: rates, drops, failures, latency, and why no image comes",
    ),
    Topic("~/transition_event", ("lifecycle_msgs/msg/TransitionEvent",), OUT, "of every managed node"),
    Topic("/parameter_events", ("rcl_interfaces/msg/ParameterEvent",), OUT, "of every node"),
    Topic("/rosout", ("rcl_interfaces/msg/Log",), OUT, "the log; of every node"),
)
SERVICES = (
    Service(
        "~/set_enabled",
        "std_srvs/srv/SetBool",
        "true: configure where that is needed, and activate; false: deactivate",
    ),
    Service("~/reset", "std_srvs/srv/Trigger", "forget everybody"),
    *(
        Service(f"~/{name}", f"lifecycle_msgs/srv/{kind}", "of every managed node")
        for name, kind in (
            ("change_state", "ChangeState"),
            ("get_state", "GetState"),
            ("get_available_states", "GetAvailableStates"),
            ("get_available_transitions", "GetAvailableTransitions"),
            ("get_transition_graph", "GetAvailableTransitions"),
        )
    ),
    *(
        Service(f"~/{name}", f"rcl_interfaces/srv/{kind}", "of every node")
        for name, kind in (
            ("describe_parameters", "DescribeParameters"),
            ("get_parameter_types", "GetParameterTypes"),
            ("get_parameters", "GetParameters"),
            ("list_parameters", "ListParameters"),
            ("set_parameters", "SetParameters"),
            ("set_parameters_atomically", "SetParametersAtomically"),
        )
    ),
    Service("~/get_type_description", "type_description_interfaces/srv/GetTypeDescription", "of every node"),
)
_SHARED = ("~/markers", "~/mesh", "~/joint_states", "~/body_model", "/tf", "/people", "~/transition_event")
_OF_A_NODE = ("/parameter_events", "/rosout")
_OF_A_BODY = ("/humans/bodies/tracked", f"/humans/bodies/{ID}/joint_states", f"/humans/bodies/{ID}/urdf")
FUSION_TOPICS = (
    Topic(
        f"{ID}/hmr/humans",
        ("hmr_ros/msg/HumanArray",),
        IN,
        "best effort; of each camera's node, or as `humans_topic` in the cameras' file says",
    ),
    Topic("/tf", (_TF,), IN, "where a camera has no R and t in the file"),
    Topic("/tf_static", (_TF,), IN, "where a camera has no R and t in the file"),
    Topic("/clock", ("rosgraph_msgs/msg/Clock",), IN, "where `use_sim_time` is set"),
    Topic(
        "~/humans",
        ("hmr_ros/msg/HumanArray",),
        OUT,
        "everybody of one moment, once; header = stamp of its newest image, `output.target_frame`",
    ),
    Topic("~/hypotheses", ("hmr_ros/msg/HypothesisArray",), OUT, f"{_WATCHED}; of several cameras there are none"),
    *(t for t in TOPICS if t.direction == OUT and t.name in (*_SHARED, *_OF_A_BODY, *_OF_A_NODE)),
    Topic(
        "/diagnostics",
        ("diagnostic_msgs/msg/DiagnosticArray",),
        OUT,
        "in every state: of each camera rate, age, partners, and why it is silent or left out",
    ),
)
# frame, its parent, what it is; `ros/frames.py` broadcasts them
FRAMES = (
    (
        "body_<id>",
        "`output.target_frame`; else the world's frame where it is one on /tf (`world.frame`); else the image's optical"
        " frame",
        "a person: origin between the hips, x forward, y left, z up (REP-103); `output.tf`, `output.tf_prefix`",
    ),
    (
        "body_<id>_<joint>",
        "`body_<id>`",
        "the person's 24 joints (`body_p0_left_knee`), axes as the person's in the T-pose; only with"
        " `output.tf_joints`",
    ),
)


def topic_page() -> str:
    """docs/topics.md: every topic, service and frame."""
    lines = [
        "# Topics, services, frames",
        "",
        "Of the nodes `hmr` and [`fusion`](#the-node-fusion); written by",
        "`python -m hmr_ros.ros.topics page > docs/topics.md`, and compared with the running nodes by a test. Relative",
        "names follow namespace and remaps, `~` is the node: `/hmr` unless there is a namespace. What the arguments",
        "and settings mean: [usage.md](usage.md#ros-2-node), [parameters.md](parameters.md).",
        "",
        *_topic_rows(TOPICS),
    ]
    lines += ["", "QoS: [parameters.md](parameters.md) has `input.reliability`;"]
    lines += [
        "`qos_overrides./image.subscription.reliability` and its like go before it. What is published is reliable,"
    ]
    lines += ["volatile, of depth 10 unless it is latched; `~/overlay` of depth 1, `/tf` of 100."]
    lines += ["", "| service | type | |", "|---|---|---|"]
    lines += [f"| `{s.name}` | {_types([s.type])} | {s.text} |" for s in SERVICES]
    lines += ["", "| frame on /tf | parent | |", "|---|---|---|"]
    lines += [f"| `{frame}` | {parent} | {text} |" for frame, parent, text in FRAMES]
    lines += [
        "",
        "## The node `fusion`",
        "",
        "Several cameras as one ([usage.md](usage.md#many-cameras)): `~` is `/fusion`.",
    ]
    lines += ["Its services are those of `hmr`, its frames `body_fusion_<id>` in `output.target_frame`.", ""]
    return "\n".join([*lines, *_topic_rows(FUSION_TOPICS), ""])


def policy() -> str:
    """policies/hmr_ros.policy.xml: an SROS2 policy (schema 0.2.0) that allows the tables and nothing else."""
    rows = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- What the nodes hmr and fusion use and nothing else; SECURITY.md says how to apply it. Where the camera's",
        "     topics have other names, write these for image, camera_info, depth, detections.",
        "     Written by `python -m hmr_ros.ros.topics policy`. -->",
        '<policy version="0.2.0">',
        "  <enclaves>",
        *_enclave("hmr", TOPICS),
        *_enclave("fusion", FUSION_TOPICS),
        "  </enclaves>",
        "</policy>",
    ]
    return "\n".join([*rows, ""])


def _topic_rows(topics: Iterable[Topic]) -> list[str]:
    rows = ["| topic | type | | |", "|---|---|---|---|"]
    for t in topics:
        name = t.name.replace(ID, "<camera>" if t.name.startswith(ID) else "<id>")
        rows.append(f"| `{name}` | {_types(t.types)} | {t.direction} | {t.text} |")
    return rows


def _enclave(node: str, topics: tuple[Topic, ...]) -> list[str]:
    groups = [
        _rules("topics", 'subscribe="ALLOW"', [t.name for t in topics if t.direction == IN]),
        _rules("topics", 'publish="ALLOW"', [t.name for t in topics if t.direction == OUT]),
        _rules("services", 'reply="ALLOW"', [s.name for s in SERVICES]),
    ]
    return [
        f'    <enclave path="/{node}">',
        "      <profiles>",
        f'        <profile ns="/" node="{node}">',
        *(line for group in groups for line in group),
        "        </profile>",
        "      </profiles>",
        "    </enclave>",
    ]


def _types(types: Iterable[str]) -> str:
    return " or ".join(t.replace("/msg/", "/").replace("/srv/", "/") for t in types)


def _rules(group: str, rule: str, names: list[str]) -> list[str]:
    one = group.removesuffix("s")
    rows = [f"            <{one}>{name}</{one}>" for name in names]
    return [f"          <{group} {rule}>", *rows, f"          </{group}>"]


if __name__ == "__main__":
    print({"page": topic_page, "policy": policy}[sys.argv[1]](), end="")
