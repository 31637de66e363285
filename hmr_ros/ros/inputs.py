"""The node's subscriptions: images in the transport that is there, intrinsics, depth, boxes; why they are silent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hmr_ros.config import HmrConfig, InputConfig
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.calibration import camera_of_info, info_topic, is_rectified
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.ros.depth import DepthTopic
from hmr_ros.ros.detections import DetectionsTopic
from hmr_ros.ros.environment import subscribed, subscription_event_callbacks
from hmr_ros.ros.graph import COMPRESSED, transport_of, why_no_info, why_silent
from hmr_ros.ros.notices import Notices
from hmr_ros.types import Camera

_JUMP_NS = 10 * 10**9  # forward; a pause of the camera is shorter
_PATIENCE_S = 2.0  # without an image until it is said why
_LOST = 0.8  # of the images that CameraInfo announced must come
_COUNTED = 20  # CameraInfos over which that is measured


class StampCheck:
    """Looks at the header of every image as it comes."""

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def __call__(self, header: Any, now: Any) -> str:
        """What is odd about the stamp, empty: nothing. Zero is replaced by `now` (builtin_interfaces/Time)."""
        stamp = stamp_ns(header.stamp)
        if stamp == 0:
            header.stamp = now
            return "images have stamps of zero: the time at which they came is used"
        last, self._last_ns = self._last_ns, stamp
        if stamp == last:
            return "images have the stamp of the one before: nobody can tell how people move; check the camera's driver"
        if last is not None and stamp < last:
            return "stamps of images jump back: everybody is found anew; is a recording played in a loop?"
        if last is not None and stamp - last > _JUMP_NS:
            return "stamps of images jump forward by more than ten seconds"
        return ""


class Inputs:
    """What a node is subscribed to while it is active."""

    def __init__(
        self, node: Node, config: InputConfig, notices: Notices, on_image: Callable[[Any], None], *, boxes: bool = False
    ) -> None:
        """`boxes`: people come from the detections topic."""
        self._node, self._config, self._notices, self._on_image = node, config, notices, on_image
        self.image_topic = resolved(node, config.image_topic)
        self.info_topic = _info_topic(node, config.camera_info_topic, self.image_topic)
        self._qos = QoSProfile(depth=1, reliability=_reliability(config))
        self._transport = "", ""  # topic and type
        self._images: Any = None
        self._info: CameraInfo | None = None
        self._sized: dict[tuple[int, int], tuple[float, CameraInfo]] = {}  # the last of each size, and when it came
        self._no_info = (-1e9, "")  # when that was asked, and the answer
        self._infos_came = self._images_came = 0
        self.loss = ""  # measured, empty: none
        self._last_s = time.monotonic()  # an image came, or we began to listen
        self.choose_transport()
        # best effort takes from every publisher, whatever the images need
        info_qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._infos = subscribed(node, CameraInfo, self.info_topic, self._on_info, info_qos)
        self.depths = _depth_topic(node, config)
        self.detections = _detections_topic(node, config) if boxes else None

    def close(self) -> None:
        """Leave all topics."""
        self._node.destroy_subscription(self._images)
        self._node.destroy_subscription(self._infos)
        if self.depths is not None:
            self.depths.close()
        if self.detections is not None:
            self.detections.close()

    def choose_transport(self) -> None:
        """Subscribe the images in the transport that is there by now, unless that is done already."""
        wanted = transport_of(self._node, self.image_topic, self._config.transport)
        if wanted == self._transport:
            return
        if self._images is not None:
            self._node.destroy_subscription(self._images)
        self._transport = wanted
        topic, kind = wanted
        message = CompressedImage if kind == COMPRESSED else Image
        events = subscription_event_callbacks()(incompatible_qos=self._on_incompatible_qos)
        self._images = subscribed(self._node, message, topic, self._came, self._qos, events)
        self._rectified = is_rectified(self._images.topic_name, self._config.rectified)  # the name after remapping

    def silence(self) -> str:
        """Why no image has come for two seconds; empty while images come. Costs a look at the ROS graph."""
        if time.monotonic() - self._last_s < _PATIENCE_S:
            return ""
        self.choose_transport()
        topic, kind = self._transport
        return why_silent(self._node, topic, kind, self._qos)

    def camera(self, width: int, height: int) -> tuple[Camera, str]:
        """Intrinsics for an image of this size, and why they are a guess where they are."""
        try:
            if self._info is None:
                raise InputError(self._why_no_info())
            # while the resolution changes, the newest info may belong to another image than the one that is answered
            _, info = self._sized.get((width, height), (0.0, self._info))
            return camera_of_info(info, self._rectified, width, height), ""
        except InputError as error:
            self._notices.warn(f"the focal length is guessed: {error}")
            return guess_camera(width, height), str(error)

    def _why_no_info(self) -> str:
        asked_s, _ = self._no_info
        if time.monotonic() - asked_s > _PATIENCE_S:  # the graph is not asked for every image
            self._no_info = time.monotonic(), why_no_info(self._node, self.info_topic)
        return self._no_info[1]

    def _came(self, message: Any) -> None:
        self._last_s = time.monotonic()
        self._images_came += 1
        self._on_image(message)

    def _on_info(self, message: CameraInfo) -> None:
        now = time.monotonic()
        recent = {size: kept for size, kept in self._sized.items() if now - kept[0] < _PATIENCE_S}
        self._sized = recent | {(message.width, message.height): (now, message)}
        self._info = message
        self._infos_came += 1
        if self._infos_came < _COUNTED:
            return
        lost = self._infos_came - self._images_came
        self.loss = ""
        if self._images_came and self._images_came < _LOST * self._infos_came:
            self.loss = (
                f"{lost} of the last {self._infos_came} images that CameraInfo announced did not come: they are"
                " published less often, or lost; then give the camera's process the DDS profile that hmr doctor names,"
                " or set input.reliability: reliable"
            )
            self._notices.once("loss", self.loss)
        self._infos_came = self._images_came = 0

    def _on_incompatible_qos(self, _: Any) -> None:
        self._notices.warn(
            f"a publisher of {self.image_topic} offers a QoS that does not fit "
            f"'{self._config.reliability}': no images from it; set input.reliability"
        )


def check_topics(node: Node, config: HmrConfig) -> None:
    """ConfigError where a name is none that a topic can have."""
    topics = config.input
    for name in (topics.image_topic, topics.camera_info_topic, topics.depth_topic, topics.detections_topic):
        if name:
            resolved(node, name)
    if config.world.imu_topic:
        resolved(node, config.world.imu_topic, "world.imu_topic")


def resolved(node: Node, name: str, where: str = "the input.*_topic parameters") -> str:
    """Full name of a topic; ConfigError where it is none, which says `where` it was given."""
    try:
        return str(node.resolve_topic_name(name))
    except (InvalidTopicNameException, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0].rstrip(":")
        raise ConfigError(f"'{name}' is no topic name: {said}; check {where}") from error


def is_remapped(node: Node, name: str) -> bool:
    """Whether the user gave a relative topic another name."""
    return bool(node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True))


def _info_topic(node: Node, given: str, images: str) -> str:
    """Where CameraInfo is expected: as given, as `camera_info` is remapped, else beside the images."""
    if given:
        return resolved(node, given)
    return str(node.resolve_topic_name("camera_info")) if is_remapped(node, "camera_info") else info_topic(images)


def _depth_topic(node: Node, config: InputConfig) -> DepthTopic | None:
    name = config.depth_topic or ("depth" if is_remapped(node, "depth") else "")
    if not name:
        return None
    # deeper than one: none is dropped that an image may wait for
    return DepthTopic(node, name, QoSProfile(depth=5, reliability=_reliability(config)))


def _detections_topic(node: Node, config: InputConfig) -> DetectionsTopic:
    # deeper than one, as depth: none is dropped that an image may wait for
    qos = QoSProfile(depth=5, reliability=_reliability(config))
    return DetectionsTopic(node, config.detections_topic or "detections", config, qos)


def _reliability(config: InputConfig) -> ReliabilityPolicy:
    return ReliabilityPolicy.RELIABLE if config.reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
