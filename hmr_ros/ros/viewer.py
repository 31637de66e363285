"""`hmr view --ros`: the web page with what a running node publishes; a process of its own, so never in its way."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.node import Node

from hmr_ros.config import InputConfig
from hmr_ros.errors import InputError
from hmr_ros.io.encodings import decode_image, stamp_ns
from hmr_ros.msg import HumanArray
from hmr_ros.ros.bridge import convert_with_cv_bridge
from hmr_ros.ros.convert import humans_from_msg
from hmr_ros.ros.ending import Ending
from hmr_ros.ros.graph import camera_of, topics_of
from hmr_ros.ros.inputs import Inputs, resolved
from hmr_ros.ros.notices import Notices
from hmr_ros.types import Image, TrackingState
from hmr_ros.view.browser.page import Page
from hmr_ros.view.browser.playback import Moment, Playback
from hmr_ros.view.browser.viewer import Viewer, camera_pose, small_jpeg, smaller

_KEPT = 30  # images that wait for their answer
_PATIENCE_S = 3.0


class ViewNode(Node):  # type: ignore[misc]  # rclpy is untyped
    """Subscribes to people and images, and gives both to the page together."""

    def __init__(
        self, humans_topic: str, image_topic: str | None, body_name: str, playback: Playback,
        is_watched: Callable[[], bool],
    ) -> None:  # fmt: skip
        """`image_topic` None: `camera_of` the people, looked for until there is one. Images are decoded only while
        somebody watches. ConfigError where a topic's name is none."""
        super().__init__("hmr_view")
        self._humans_topic = resolved(self, humans_topic, "--humans-topic")
        self._image_topic = image_topic and resolved(self, image_topic, "--image-topic")
        self._body_name, self._playback, self._is_watched = body_name, playback, is_watched
        self._inputs: Inputs | None = None
        self._images: OrderedDict[int, tuple[Image, float, float, str]] = OrderedDict()
        self._camera_frame: str | None = None  # of the images, also of those that nobody watches
        self._notices = Notices(lambda text: self.get_logger().warning(text))
        self._started_s, self._came = time.monotonic(), False
        self.create_subscription(HumanArray, self._humans_topic, self._on_humans, 10)
        self.create_timer(0.5, self._look)

    def _look(self) -> None:
        """Find the images, and say why nothing comes."""
        if self._inputs is None:
            topic = self._image_topic or camera_of(self, self._humans_topic)
            if topic is not None:
                topic = topic.removesuffix("/compressed")
                self._inputs = Inputs(self, InputConfig(image_topic=topic), self._notices, self._on_image)
        elif silent := self._inputs.silence():
            self._notices.warn(f"no images on {self._inputs.image_topic}: {silent}")
        if not self._came and time.monotonic() - self._started_s > _PATIENCE_S:
            there = topics_of(self, "hmr_ros/msg/HumanArray")
            if self._humans_topic in there:
                self._notices.warn(f"nothing comes on {self._humans_topic}: does the node get images?")
                return
            hint = f"there are {', '.join(there)}: give --humans-topic" if there else "start the node: hmr live"
            self._notices.warn(f"nobody publishes people on {self._humans_topic}; {hint}")

    def _on_image(self, message: Any) -> None:
        self._camera_frame = message.header.frame_id
        if not self._is_watched():
            return
        try:
            image = decode_image(message, convert_with_cv_bridge)
        except InputError as error:
            self._notices.warn(str(error))
            return
        small, scale = smaller(image)
        self._images[stamp_ns(message.header.stamp)] = small, scale, time.monotonic(), message.header.frame_id
        while len(self._images) > _KEPT:
            self._images.popitem(last=False)

    def _on_humans(self, message: Any) -> None:
        self._came = True
        humans = [h for h in humans_from_msg(message) if h.state != TrackingState.SEARCHING]
        if others := {h.body_model for h in humans} - {self._body_name}:
            self._notices.warn(f"people have the body {others.pop()}, shown is {self._body_name}: give it with --body")
        stamp = stamp_ns(message.header.stamp)
        small, scale, came_s, frame_id = self._images.pop(stamp, (None, 1.0, 0.0, self._camera_frame))
        K = humans[0].K if humans else np.diag([1.0, 1.0, 1.0])
        own = message.header.frame_id
        in_camera = own == frame_id if frame_id is not None else "optical" in own
        height, width = (round(2 * K[1, 2]), round(2 * K[0, 2])) if small is None else _size(small, scale)
        jpeg = None if small is None else small_jpeg(small, humans, scale)
        delay_s = None if small is None else time.monotonic() - came_s
        # people in another frame than the camera's have z up already (REP-103)
        R, t = camera_pose(humans) if in_camera else (np.eye(3), np.zeros(3))
        self._playback.add(Moment(stamp, humans, K, width, height, R, jpeg, delay_s, t, in_camera))


def _size(small: Image, scale: float) -> tuple[int, int]:
    return round(small.shape[0] / scale), round(small.shape[1] / scale)


def run_viewer(page: Page, playback: Playback, humans_topic: str, image_topic: str | None, body_name: str) -> None:
    """Show what comes on the topics until Ctrl-C or SIGTERM."""
    cv2.setNumThreads(1)
    with Ending() as ending:
        rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        try:
            node = ViewNode(humans_topic, image_topic, body_name, playback, lambda: page.is_watched)
            with Viewer(page):
                ending.spin(node)
        finally:
            rclpy.try_shutdown()
    if ending.asked:
        raise KeyboardInterrupt  # the command's to answer, as everywhere but in nodes
