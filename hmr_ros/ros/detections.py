"""The detections topic: boxes of people from a robot's own detector, and which of them belong to an image."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from hmr_ros.config import HmrConfig, InputConfig
from hmr_ros.errors import ConfigError
from hmr_ros.io.depth_messages import DepthQueue, ImagePeriod
from hmr_ros.io.detections import boxes_of, class_names
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.msg import RoiArray
from hmr_ros.ros.environment import subscribed, subscription_event_callbacks
from hmr_ros.ros.graph import topics_of, types_on
from hmr_ros.types import Floats

ROIS, DETECTIONS = "hmr_ros/msg/RoiArray", "vision_msgs/msg/Detection2DArray"
_KEPT = 30  # messages
_LONGEST_WAIT_S = 0.1  # for boxes, however slow the camera is
_SAME_NS = 1_000_000  # stamps that are one: some detectors carry them as floating point
_PATIENCE_S = 2.0  # without a message until it is said why
_DIRECT = "the detector must give its boxes the stamp of their image"


def wants_detections(remapped: bool, config: HmrConfig) -> bool:
    """Whether people come from the detections topic; `remapped`: `detections` is. ConfigError where both are asked."""
    kind, named = config.detector.kind, config.input.detections_topic
    if kind in ("auto", "external"):
        return kind == "external" or bool(named) or remapped
    if named or remapped:
        asked = f"input.detections_topic is '{named}'" if named else "`detections` is remapped"
        raise ConfigError(
            f"{asked}, but detector.kind is '{kind}'; set detector.kind: external, or leave one of them out"
        )
    return False


class DetectionsTopic:
    """Fed by the executor, asked by the worker."""

    def __init__(self, node: Node, topic: str, config: InputConfig, qos: QoSProfile) -> None:
        """Subscribe `topic` with the type that is there."""
        self._node, self._qos, self._log = node, qos, node.get_logger()
        self._topic = node.resolve_topic_name(topic)
        self._classes, self._max_age_ns = (
            class_names(config.detections_classes),
            round(1e9 * config.detections_max_age_s),
        )
        self._changed = threading.Condition()
        self._queue, self._period = DepthQueue(_KEPT), ImagePeriod()
        self._last_s: float | None = None  # a message came
        self._subscription: Any = None
        self._type = self._why = ""
        self.look()

    def close(self) -> None:
        """Leave the topic."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def look(self) -> None:
        """Subscribe with the type that is there by now, and find out why nothing comes where nothing does.

        Costs a look at the ROS graph while the topic is silent.
        """
        if self._last_s is not None and time.monotonic() - self._last_s < _PATIENCE_S:
            return
        there = types_on(self._node, self._topic)
        wanted = DETECTIONS if DETECTIONS in there and ROIS not in there and _has_vision_msgs() else ROIS
        if wanted != self._type:
            self.close()
            self._type = wanted
            events = subscription_event_callbacks()(incompatible_qos=self._on_incompatible_qos)
            self._subscription = subscribed(
                self._node, _message(wanted), self._topic, self._on_boxes, self._qos, events
            )
        self._why = self._why_silent(there)

    def image(self, stamp: int) -> None:
        """An image with this stamp (ns) has come, whether it will be answered or not."""
        with self._changed:
            self._period.image(stamp)

    def boxes_of(self, stamp: int, came_s: float, wait: bool = True) -> tuple[Floats | None, str]:
        """Boxes [B,5] for an image with this stamp (ns), or None where there are none; and what is odd about them.

        `wait`: until half a frame after the image came (`came_s`, time.monotonic()), 0.1 s at most. Where its own do
        not come, those nearest in time are taken, if they are near enough.
        """
        with self._changed:
            if wait and self._last_s is not None and time.monotonic() - self._last_s < _PATIENCE_S:
                patience_s = min(self._period.half_ns * 1e-9, _LONGEST_WAIT_S)
                self._changed.wait_for(
                    lambda: self._queue.is_past(stamp) or self._queue.nearest(stamp, _SAME_NS) is not None,
                    timeout=max(0.0, came_s + patience_s - time.monotonic()),
                )
            message = self._queue.nearest(stamp, max(_SAME_NS, self._max_age_ns))
            came = self._last_s is not None and time.monotonic() - self._last_s < _PATIENCE_S
        if message is not None:
            return boxes_of(message, self._classes)
        if came:
            said = f"boxes on {self._topic} are further than input.detections_max_age_s from every image; {_DIRECT}"
            return None, said
        return None, self._why

    def _on_boxes(self, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp) or int(self._node.get_clock().now().nanoseconds)
        with self._changed:
            self._last_s = time.monotonic()
            self._queue.add(stamp, message)
            self._changed.notify()

    def _why_silent(self, there: set[str]) -> str:
        if not there:
            named = ", ".join(topics_of(self._node, ROIS, DETECTIONS)[:6])
            hint = f"; there are {named}: set input.detections_topic" if named else ""
            return f"no boxes of people: nobody publishes {self._topic}{hint}"
        if not there & {ROIS, DETECTIONS}:
            return f"no boxes of people: {self._topic} carries {', '.join(sorted(there))}, not {ROIS} or {DETECTIONS}"
        if self._type not in there:
            cure = "install vision_msgs (apt install ros-$ROS_DISTRO-vision-msgs)"
            return f"no boxes of people: {self._topic} carries {DETECTIONS}, which is not known here; {cure}"
        return f"no boxes of people: {self._topic} is published, but nothing comes; does the detector get images?"

    def _on_incompatible_qos(self, _: Any) -> None:
        self._log.warning(
            f"a publisher of {self._topic} offers a QoS that does not fit: no boxes from it; set input.reliability"
        )


def _has_vision_msgs() -> bool:
    return importlib.util.find_spec("vision_msgs") is not None


def _message(kind: str) -> Any:
    if kind == ROIS:
        return RoiArray
    from vision_msgs.msg import Detection2DArray

    return Detection2DArray
