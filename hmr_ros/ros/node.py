"""The live node `hmr`: owns topics, time and threads; does no mathematics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hmr_ros.config import HmrConfig
from hmr_ros.errors import HmrError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.encodings import decode_compressed, decode_image
from hmr_ros.io.video import fit_camera
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.convert import camera_from_msg, stamp_ns
from hmr_ros.ros.parameters import declare_settings
from hmr_ros.ros.publishers import Publishers
from hmr_ros.ros.statistics import LiveStatistics, Pace
from hmr_ros.types import Camera, Frame

_WARM_UP_FRAMES = 3
_REPEAT_WARNING_S = 10.0


class HmrNode(Node):  # type: ignore[misc]  # rclpy is untyped
    """Newest picture in, people out. The image callback only swaps a slot; one worker thread computes."""

    def __init__(self, pipeline_factory: Callable[[HmrConfig], Pipeline]) -> None:
        super().__init__("hmr")
        self._config = declare_settings(self)
        self._pipeline = pipeline_factory(self._config)
        self._statistics = LiveStatistics()
        self._slot: Any = None
        self._slot_changed = threading.Condition()
        self._stopping = False
        self._camera_info: CameraInfo | None = None
        self._next_index = 0
        self._headers: dict[int, Any] = {}  # of the pictures that wait for their answer
        self._pace = Pace()
        self._warned: dict[str, float] = {}
        self._warm_up()
        self._subscribe()
        self._outputs = Publishers(self, self._config, self._pipeline.body)
        self.create_timer(self._config.output.diagnostics_period_s, self._publish_diagnostics)
        self._worker = threading.Thread(target=self._work, name="hmr_worker", daemon=True)
        self._worker.start()
        self.get_logger().info(f"ready: {self._config.input.image_topic} -> {self._outputs.humans.topic_name}")

    def stop(self) -> None:
        """Let the worker finish its picture and end it."""
        with self._slot_changed:
            self._stopping = True
            self._slot_changed.notify()
        self._worker.join(timeout=5.0)

    def _warm_up(self) -> None:
        """First inferences are slow; spend them before the first picture comes."""
        blank = np.zeros((480, 640, 3), np.uint8)
        for i in range(_WARM_UP_FRAMES):
            frame = Frame(i, i, blank, guess_camera(640, 480))
            self._pipeline.step(frame)
            self._pipeline.search(frame)
        self._pipeline.reset()

    def _subscribe(self) -> None:
        config = self._config.input
        reliable = config.reliability == "reliable"
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
        kind = CompressedImage if config.compressed else Image
        events = SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos)
        self.create_subscription(kind, config.image_topic, self._on_image, qos, event_callbacks=events)
        self.create_subscription(CameraInfo, config.camera_info_topic, self._on_camera_info, qos)

    def _on_image(self, message: Any) -> None:
        with self._slot_changed:
            self._statistics.received(dropped=self._slot is not None)
            self._slot = message
            self._slot_changed.notify()

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_qos(self, _: Any) -> None:
        self.get_logger().warning(
            f"a publisher of {self._config.input.image_topic} offers a QoS that does not fit "
            f"'{self._config.input.reliability}': no pictures from it; set input.reliability"
        )

    def _work(self) -> None:
        while True:
            with self._slot_changed:
                self._slot_changed.wait_for(lambda: self._slot is not None or self._stopping)
                if self._stopping:
                    return
                message, self._slot = self._slot, None
            try:
                self._answer(message)
            except HmrError as error:
                self._statistics.failed()
                self._warn(str(error))
            except Exception as error:  # a bad picture must not end the node
                self._statistics.failed()
                self._warn(f"picture skipped: {type(error).__name__}: {error}")

    def _answer(self, message: Any) -> None:
        image = decode_compressed(message) if self._config.input.compressed else decode_image(message)
        camera = self._camera(image.shape[1], image.shape[0])
        frame = Frame(self._next_index, stamp_ns(message.header.stamp), image, camera)
        self._next_index += 1
        self._headers[frame.index] = message.header
        result = self._pipeline.step(frame)
        if result is not None:
            answered = result.frame
            self._outputs.publish(answered, result.humans, self._headers[answered.index])
            self._headers = {i: h for i, h in self._headers.items() if i > answered.index}
            latency_ns = self.get_clock().now().nanoseconds - answered.stamp_ns
            self._statistics.published(latency_ns, len(result.humans), camera.guessed, self._pipeline.stage_seconds)
        self._search(frame, (self.get_clock().now().nanoseconds - frame.stamp_ns) * 1e-9)

    def _search(self, frame: Frame, latency_s: float) -> None:
        """Look for newcomers in the time that is left until the next picture."""
        self._pace.picture(frame.stamp_ns)
        with self._slot_changed:
            waiting = self._slot is not None
        start = time.monotonic()
        if self._pipeline.search(frame, defer=waiting or self._pace.is_short(latency_s)):
            self._pace.worked(time.monotonic() - start)

    def _camera(self, width: int, height: int) -> Camera:
        if self._camera_info is None:
            self._warn(f"no {self._config.input.camera_info_topic} yet: the focal length is guessed")
            return guess_camera(width, height)
        camera = camera_from_msg(self._camera_info)
        if camera is None:
            self._warn("CameraInfo has a zero or invalid matrix: the focal length is guessed; calibrate the camera")
            return guess_camera(width, height)
        try:
            return fit_camera(camera, width, height)
        except HmrError as error:
            self._warn(f"{error}; the focal length is guessed")
            return guess_camera(width, height)

    def _warn(self, text: str) -> None:
        now = time.monotonic()  # rclpy throttles by line of code, which all warnings share
        if now - self._warned.get(text, -_REPEAT_WARNING_S) >= _REPEAT_WARNING_S:
            self._warned[text] = now
            self.get_logger().warning(text)

    def _publish_diagnostics(self) -> None:
        self._outputs.diagnose(self._statistics.take())
