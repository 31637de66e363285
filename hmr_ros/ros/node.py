"""The live node `hmr`: owns topics, time and threads; does no mathematics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from hmr_ros.config import HmrConfig
from hmr_ros.errors import HmrError, InputError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.calibration import camera_of_info, is_rectified
from hmr_ros.io.encodings import decode_image, stamp_ns
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.bridge import convert_with_cv_bridge
from hmr_ros.ros.depth import DepthTopic
from hmr_ros.ros.environment import subscription_event_callbacks
from hmr_ros.ros.parameters import declare_settings
from hmr_ros.ros.publishers import Publishers
from hmr_ros.ros.statistics import LiveStatistics, Pace
from hmr_ros.types import Camera, Floats, Frame, Result
from hmr_ros.types import Image as ImageArray

_WARM_UP_FRAMES = 3
_REPEAT_WARNING_S = 10.0


@dataclass(frozen=True)
class TopicFrame(Frame):
    """A frame of the image topic, with what its answer needs of the messages."""

    header: Header  # of the image, and so of the answer
    camera_problem: str  # why the camera is guessed; empty: it is calibrated


class HmrNode(Node):  # type: ignore[misc]  # rclpy is untyped
    """Newest image in, people out. The image callback only swaps a slot; one worker thread computes."""

    def __init__(self, pipeline_factory: Callable[[HmrConfig], Pipeline]) -> None:
        super().__init__("hmr")
        self._config = declare_settings(self)
        self._pipeline = pipeline_factory(self._config)
        self._statistics = LiveStatistics()
        self._slot: tuple[Any, float] | None = None  # the newest image and when it came, time.monotonic()
        self._slot_changed = threading.Condition()
        self._stopping = False
        self._camera_info: CameraInfo | None = None
        self._next_index = 0
        self._pace = Pace()
        self._warned: dict[str, float] = {}
        self._warm_up()
        self._subscribe()
        self._outputs = Publishers(self, self._config, self._pipeline.body)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # diagnostics go on where /clock stands still
        self.create_timer(self._config.output.diagnostics_period_s, self._publish_diagnostics, clock=steady)
        self._worker = threading.Thread(target=self._work, name="hmr_worker", daemon=True)
        self._worker.start()
        self.get_logger().info(f"ready: {self._config.input.image_topic} -> {self._outputs.humans.topic_name}")

    def stop(self) -> None:
        """Let the worker finish its image and end it."""
        with self._slot_changed:
            self._stopping = True
            self._slot_changed.notify()
        self._worker.join(timeout=5.0)

    def _warm_up(self) -> None:
        """First inferences are slow; spend them before the first image comes."""
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
        events = subscription_event_callbacks()(incompatible_qos=self._on_incompatible_qos)
        images = self.create_subscription(kind, config.image_topic, self._on_image, qos, event_callbacks=events)
        self._rectified = is_rectified(images.topic_name, config.rectified)  # the name after remapping
        self.create_subscription(CameraInfo, config.camera_info_topic, self._on_camera_info, qos)
        self._depths = None
        if config.depth_topic:
            qos = QoSProfile(depth=5, reliability=qos.reliability)  # none is dropped that an image may wait for
            self._depths = DepthTopic(self, config.depth_topic, qos)

    def _on_image(self, message: Any) -> None:
        if self._depths is not None:
            self._depths.image(stamp_ns(message.header.stamp))
        with self._slot_changed:
            self._statistics.received(dropped=self._slot is not None)
            self._slot = message, time.monotonic()
            self._slot_changed.notify()

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_qos(self, _: Any) -> None:
        self.get_logger().warning(
            f"a publisher of {self._config.input.image_topic} offers a QoS that does not fit "
            f"'{self._config.input.reliability}': no images from it; set input.reliability"
        )

    def _work(self) -> None:
        while True:
            with self._slot_changed:
                self._slot_changed.wait_for(lambda: self._slot is not None or self._stopping)
                if self._stopping:
                    return
                slot, self._slot = self._slot, None
            try:
                self._answer(*cast("tuple[Any, float]", slot))
            except HmrError as error:
                self._skip(str(error))
            except Exception as error:  # a bad image must not end the node
                self._skip(f"image skipped: {type(error).__name__}: {error}")

    def _skip(self, reason: str) -> None:
        self._statistics.failed(reason)
        self._warn(reason)

    def _answer(self, message: Any, came_s: float) -> None:
        image = decode_image(message, convert_with_cv_bridge)
        camera, problem = self._camera(image.shape[1], image.shape[0])
        stamp = stamp_ns(message.header.stamp)
        depth = self._depth(message, image, came_s)
        frame = TopicFrame(self._next_index, stamp, image, camera, message.header, problem, depth=depth)
        self._next_index += 1
        result = self._pipeline.step(frame)
        if result is not None:
            self._publish(result)
        self._search(frame)

    def _publish(self, result: Result) -> None:
        frame = cast(TopicFrame, result.frame)  # the pipeline gives back the frames that it got
        self._outputs.publish(frame, result.humans, frame.header)
        latency_ns = self._age_ns(frame)
        self._statistics.published(latency_ns, len(result.humans), frame.camera_problem, self._pipeline.stage_seconds)

    def _age_ns(self, frame: Frame) -> int:
        return int(self.get_clock().now().nanoseconds) - frame.stamp_ns

    def _search(self, frame: Frame) -> None:
        """Search for new people in the time that is left until the next image."""
        self._pace.image(frame.stamp_ns)
        with self._slot_changed:
            waiting = self._slot is not None
        start = time.monotonic()
        if self._pipeline.search(frame, defer=waiting or self._pace.is_short(self._age_ns(frame) * 1e-9)):
            self._pace.worked(time.monotonic() - start)

    def _depth(self, message: Any, image: ImageArray, came_s: float) -> Floats | None:
        if self._depths is None:
            return None
        depth, problem = self._depths.depth_of(message.header, image.shape[1], image.shape[0], came_s)
        if problem:
            self._warn(problem)
        if depth is None:
            self._statistics.without_depth()
        return depth

    def _camera(self, width: int, height: int) -> tuple[Camera, str]:
        """Intrinsics for an image of this size, and why they are a guess where they are."""
        try:
            if self._camera_info is None:
                raise InputError(f"no CameraInfo on {self._config.input.camera_info_topic} yet")
            return camera_of_info(self._camera_info, self._rectified, width, height), ""
        except InputError as error:
            self._warn(f"the focal length is guessed: {error}")
            return guess_camera(width, height), str(error)

    def _warn(self, text: str) -> None:
        now = time.monotonic()  # rclpy throttles by line of code, which all warnings share
        if now - self._warned.get(text, -_REPEAT_WARNING_S) >= _REPEAT_WARNING_S:
            self._warned[text] = now
            self.get_logger().warning(text)

    def _publish_diagnostics(self) -> None:
        self._outputs.diagnose(self._statistics.take())
