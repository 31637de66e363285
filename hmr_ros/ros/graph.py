"""What the ROS graph says of an image topic: which transport is there, and why nothing arrives."""

from __future__ import annotations

from posixpath import commonpath
from typing import Any

from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
_SUFFIX = "/compressed"
_NAMED = 6  # topics that are listed
_PROFILE = "large images need the DDS profile (hmr doctor) in the camera's process, or input.reliability: reliable"


def transport_of(node: Any, topic: str, setting: str) -> tuple[str, str]:
    """The topic to subscribe for images of `topic` (resolved) and its type, by `input.transport`."""
    there = types_on(node, topic)
    aside = topic + _SUFFIX if not topic.endswith(_SUFFIX) and types_on(node, topic + _SUFFIX) else None
    if setting == "raw":
        return topic, RAW
    if setting == "compressed":
        return (aside if aside and COMPRESSED not in there else topic), COMPRESSED
    if RAW in there:
        return topic, RAW
    if COMPRESSED in there:
        return topic, COMPRESSED
    if aside:
        return aside, COMPRESSED
    return topic, COMPRESSED if topic.endswith(_SUFFIX) else RAW


def types_on(node: Any, topic: str) -> set[str]:
    """Types that publishers offer on a topic."""
    return {info.topic_type for info in node.get_publishers_info_by_topic(topic)}


def topics_of(node: Any, *types: str) -> list[str]:
    """Topics of these types that somebody else publishes."""
    own = node.get_fully_qualified_name() + "/"
    names = [name for name, kinds in node.get_topic_names_and_types() if set(kinds) & set(types)]
    return sorted(n for n in names if not n.startswith(own) and node.count_publishers(n))


def camera_of(node: Any, humans_topic: str) -> str | None:
    """The topic of the images that people on `humans_topic` (resolved) are most likely found in: nothing of the node
    that finds them; first those nearest in the tree of names, no depth, and with a CameraInfo beside them."""
    own = humans_topic.rsplit("/", 1)[0] + "/"
    infos = {name.rsplit("/", 1)[0] for name in topics_of(node, INFO)}
    found = {name.removesuffix(_SUFFIX) for name in topics_of(node, RAW, COMPRESSED)}

    def rank(name: str) -> tuple[int, int, bool, str]:
        shared, without_info = len(commonpath([name, humans_topic])), name.rsplit("/", 1)[0] not in infos
        return -shared, name.lower().count("depth"), without_info, name

    fitting = (n for n in found if own == "/" or not n.startswith(own))
    return min(fitting, key=rank, default=None)


def why_silent(node: Any, topic: str, kind: str, qos: QoSProfile) -> str:
    """Why no image comes on a topic to which we are subscribed with this type and QoS, and what to do."""
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f"nobody publishes it; {_choice(topics_of(node, RAW, COMPRESSED))}"
    fitting = [p for p in publishers if p.topic_type == kind]
    if not fitting:
        others = ", ".join(sorted({p.topic_type for p in publishers}))
        if others in (RAW, COMPRESSED):
            return f"it carries {others}, not {kind}; set input.transport: auto"
        return f"it carries {others}, no images; {_choice(topics_of(node, RAW, COMPRESSED))}"
    for publisher in fitting:
        compatibility, reason = qos_check_compatible(publisher.qos_profile, qos)
        if compatibility == QoSCompatibility.ERROR:
            said = " ".join(reason.split()).rstrip(";")
            return f"the QoS of {_name(publisher)} does not fit: {said}; set input.reliability: best_effort"
    return f"{_name(fitting[0])} publishes it, but nothing comes: it is paused, or images are lost; {_PROFILE}"


def _name(publisher: Any) -> str:
    """Of its node; the graph learns names a little after topics."""
    return "somebody" if publisher.node_name.startswith("_NODE_NAME") else str(publisher.node_name)


def why_no_info(node: Any, topic: str) -> str:
    """Why no CameraInfo comes on a topic."""
    if types_on(node, topic):
        return f"no CameraInfo on {topic} yet"
    there = topics_of(node, INFO)
    hint = f"; there are {', '.join(there[:_NAMED])}: set camera_info_topic" if there else ""
    return f"no CameraInfo on {topic} yet, nobody publishes it{hint}"


def _choice(topics: list[str]) -> str:
    if not topics:
        return "no image topic is there: start the camera, and check ROS_DOMAIN_ID"
    more = f" and {len(topics) - _NAMED} more" if len(topics) > _NAMED else ""
    return f"image topics are {', '.join(topics[:_NAMED])}{more}: set image_topic"
