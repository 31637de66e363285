"""The depth topic of the live node: its last messages, and which of them belongs to an image."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from hmr_ros.errors import InputError
from hmr_ros.io.depth import registered
from hmr_ros.io.depth_messages import DepthQueue, ImagePeriod, decode_depth, frame_problem, is_compressed
from hmr_ros.io.encodings import MAX_PIXELS, stamp_ns
from hmr_ros.ros.environment import subscribed, subscription_event_callbacks
from hmr_ros.types import Floats

_KEPT = 15  # messages: an image may wait for the one before it to be answered
_ALIVE_S = 1.0  # nobody waits for a topic that has been silent for so long


class DepthTopic:
    """Fed by the executor, asked by the worker."""

    def __init__(self, node: Node, topic: str, qos: QoSProfile) -> None:
        """Subscribe `topic`; where its name (after remapping) ends in a transport, as CompressedImage."""
        self._changed = threading.Condition()
        self._queue, self._period = DepthQueue(_KEPT), ImagePeriod()
        self._came_s: float | None = None
        self._log = node.get_logger()
        kind = CompressedImage if is_compressed(node.resolve_topic_name(topic)) else Image
        events = subscription_event_callbacks()(incompatible_qos=self._on_incompatible_qos)
        self._node = node
        self._subscription = subscribed(node, kind, topic, self._on_depth, qos, events)
        self._topic = self._subscription.topic_name

    def close(self) -> None:
        """Leave the topic."""
        self._node.destroy_subscription(self._subscription)

    def image(self, stamp: int) -> None:
        """An image with this stamp (ns) has come, whether it will be answered or not."""
        with self._changed:
            self._period.image(stamp)

    def depth_of(
        self, header: Header, width: int, height: int, came_s: float, max_pixels: int = MAX_PIXELS
    ) -> tuple[Floats | None, str]:
        """Depth [H,W] m of an image with this header and size px, or None and why there is none.

        Waits for it until half a frame after the image came (`came_s`, time.monotonic()) and no longer.
        Depth of more than `max_pixels` is not decoded.
        """
        message = self._message_of(stamp_ns(header.stamp), came_s)
        if message is None:
            return (
                None,
                f"no depth on {self._topic} within half a frame of the image; is the depth camera synchronised?",
            )
        try:
            depth = registered(decode_depth(message, max_pixels), width, height, f"depth of {self._topic}")
        except InputError as error:
            return None, f"depth left out: {error}"
        return depth, frame_problem(message.header.frame_id, header.frame_id)

    def _message_of(self, stamp: int, came_s: float) -> Any | None:
        with self._changed:
            half_ns = self._period.half_ns
            now_s = time.monotonic()
            if self._came_s is not None and now_s - self._came_s < _ALIVE_S:
                self._changed.wait_for(
                    lambda: self._queue.is_past(stamp) or self._queue.nearest(stamp, half_ns) is not None,
                    timeout=max(0.0, came_s + half_ns * 1e-9 - now_s),
                )
            return self._queue.nearest(stamp, half_ns)

    def _on_depth(self, message: Any) -> None:
        with self._changed:
            self._came_s = time.monotonic()
            self._queue.add(stamp_ns(message.header.stamp), message)
            self._changed.notify()

    def _on_incompatible_qos(self, _: Any) -> None:
        self._log.warning(
            f"a publisher of {self._topic} offers a QoS that does not fit: no depth from it; set input.reliability"
        )
