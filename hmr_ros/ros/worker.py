"""The thread that computes: takes the newest image, asks the pipeline, publishes the answer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header

from hmr_ros.body.axes import moved
from hmr_ros.config import HmrConfig
from hmr_ros.errors import HmrError
from hmr_ros.exchange.stream import LiveStream
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.depth_messages import ImagePeriod
from hmr_ros.io.encodings import decode_image, stamp_ns
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.bridge import convert_with_cv_bridge
from hmr_ros.ros.frames import image_header
from hmr_ros.ros.gravity import GravitySources
from hmr_ros.ros.inputs import Inputs
from hmr_ros.ros.notices import Notices
from hmr_ros.ros.publishers import Answer, Publishers
from hmr_ros.ros.statistics import LiveStatistics, Pace
from hmr_ros.ros.transforms import TransformListener
from hmr_ros.types import Floats, Frame, Human, Result, TrackingState
from hmr_ros.types import Image as ImageArray
from hmr_ros.world.live import LiveWorld

_WARM_UP_FRAMES = 3


@dataclass(frozen=True)
class TopicFrame(Frame):
    """A frame of the image topic, with what its answer needs of the messages."""

    header: Header  # of the image, in its optical frame
    camera_problem: str  # why the camera is guessed; empty: it is calibrated


@dataclass(frozen=True)
class Surroundings:
    """What a worker reads from and writes to."""

    node: Node
    inputs: Inputs
    outputs: Publishers
    statistics: LiveStatistics
    notices: Notices
    transforms: TransformListener | None  # where answers are wanted in another frame, or the world may be one
    gravity: GravitySources
    stream: LiveStream | None = None  # where one is wanted


class Worker:
    """From activation to deactivation. The image callback only swaps a slot; one thread computes."""

    def __init__(self, pipeline: Pipeline, config: HmrConfig, around: Surroundings) -> None:
        self._pipeline, self._around = pipeline, around
        self._memory = PelvisMemory()
        self._world = LiveWorld(pipeline.body, config)
        self._take(config)
        self._slot: tuple[Any, float] | None = None  # the newest image and when it came, time.monotonic()
        self._changed = threading.Condition()
        self._stopping = self._reset = False
        self._new_config: HmrConfig | None = None
        self._next_index = 0
        self._pace, self._camera_period = Pace(), ImagePeriod()
        self._pipeline.reset()
        self._thread = threading.Thread(target=self._work, name="hmr_worker", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Let the image that is being answered be finished, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def image(self, message: Any) -> None:
        """The newest image."""
        with self._changed:
            self._around.statistics.received(dropped=self._slot is not None)
            self._camera_period.image(stamp_ns(message.header.stamp))
            self._slot = message, time.monotonic()
            self._changed.notify()

    def adjust(self, config: HmrConfig) -> None:
        """Take changed settings before the next image."""
        with self._changed:
            self._new_config = config

    def reset(self) -> None:
        """Forget everybody before the next image."""
        with self._changed:
            self._reset = True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot is not None or self._stopping)
                if self._stopping:
                    return
                slot, self._slot = self._slot, None
                config, self._new_config = self._new_config, None
                reset, self._reset = self._reset, False
            if config is not None:
                self._take(config)
            if reset:
                self._pipeline.reset()
                self._memory.reset()
                self._world.reset()
            try:
                self._answer(*cast("tuple[Any, float]", slot))
            except HmrError as error:
                if not self._stopping:  # transforms are gone by then
                    self._skip(str(error))
            except Exception as error:  # a bad image must not end the node
                self._skip(f"image skipped: {type(error).__name__}: {error}")

    def _take(self, config: HmrConfig) -> None:
        self._config = config
        self._pipeline.adjust(config)
        self._memory.searching_s = config.output.searching_s
        self._world.config = config
        self._around.outputs.config = config.output

    def _skip(self, reason: str) -> None:
        reason = " ".join(reason.split())
        self._around.statistics.failed(reason)
        self._around.notices.warn(reason)

    def _answer(self, message: Any, came_s: float) -> None:
        start = time.monotonic()
        image = decode_image(message, convert_with_cv_bridge, self._config.input.max_pixels)
        camera, problem = self._around.inputs.camera(image.shape[1], image.shape[0])
        header = image_header(message.header, self._config.input.optical_frame, self._around.notices)
        # compared in the frames that the camera gives both
        depth = self._depth(Header(stamp=header.stamp, frame_id=message.header.frame_id), image, came_s)
        stamp = stamp_ns(header.stamp)
        frame = TopicFrame(self._next_index, stamp, image, camera, header, problem, depth=depth)
        self._next_index += 1
        if self._config.detector.before_answer:
            frame = self._with_boxes(frame, came_s)
        result = self._pipeline.step(frame)
        if result is not None:
            self._publish(result)
        self._pace.answered(time.monotonic() - start, 2e-9 * self._camera_period.half_ns)
        self._pipeline.hurry(self._pace.late)
        self._around.statistics.hurried = self._pace.late
        self._search(frame, came_s)

    def _publish(self, result: Result) -> None:
        frame = cast(TopicFrame, result.frame)  # the pipeline gives back the frames that it got
        around = self._around
        pose, known = around.gravity.pose(frame.header)
        seen = self._world(frame, result.humans, pose) if known else result.humans
        if around.stream is not None:  # first: it costs nothing, and robots wait for it
            around.stream.offer(frame.stamp_ns, seen)
        people, header = self._placed(frame, seen)
        around.outputs.publish(Answer(frame, frame.header, seen, people, header, pose))
        latency_ns, stages = self._age_ns(frame), self._pipeline.stage_seconds
        around.statistics.published(latency_ns, len(result.humans), frame.camera_problem, stages)

    def _placed(self, frame: TopicFrame, humans: list[Human]) -> tuple[list[Human], Header]:
        """Everybody in the frame of the answers, followed over time, and the header that says so."""
        output, header = self._config.output, frame.header
        if self._around.transforms is None or not output.target_frame:
            return _without_stale_world(self._memory(frame.stamp_ns, humans, frame.camera)), header
        buffer, target = self._around.transforms.buffer, output.target_frame
        view = buffer.lookup(target, header.frame_id, frame.stamp_ns, output.target_timeout_s)
        placed = [moved(h, view) for h in humans]
        people = self._memory(frame.stamp_ns, placed, frame.camera, view)
        return _without_stale_world(people), Header(stamp=header.stamp, frame_id=target)

    def _age_ns(self, frame: Frame) -> int:
        return int(self._around.node.get_clock().now().nanoseconds) - frame.stamp_ns

    def _search(self, frame: TopicFrame, came_s: float) -> None:
        """Search for new people in the time that is left until the next image."""
        self._pace.image(frame.stamp_ns)
        with self._changed:
            waiting = self._slot is not None
        defer = waiting or self._pace.is_short(self._age_ns(frame) * 1e-9)
        if not self._config.detector.before_answer:
            frame = self._with_boxes(frame, came_s, wait=not defer)
        start = time.monotonic()
        if self._pipeline.search(frame, defer=defer):
            self._pace.worked(time.monotonic() - start)

    def _with_boxes(self, frame: TopicFrame, came_s: float, wait: bool = True) -> TopicFrame:
        """The same frame with what another detector saw in it, where one is asked."""
        detections = self._around.inputs.detections
        if detections is None:
            return frame
        boxes, problem = detections.boxes_of(frame.stamp_ns, came_s, wait)
        if problem:
            self._around.notices.warn(problem)
            self._around.statistics.note(problem)
        if boxes is None:
            self._around.statistics.without_boxes()
        return replace(frame, boxes=boxes)

    def _depth(self, header: Header, image: ImageArray, came_s: float) -> Floats | None:
        depths = self._around.inputs.depths
        if depths is None:
            return None
        depth, problem = depths.depth_of(header, image.shape[1], image.shape[0], came_s, self._config.input.max_pixels)
        if problem:
            self._around.notices.warn(problem)
        if depth is None:
            self._around.statistics.without_depth()
        return depth


def _without_stale_world(people: list[Human]) -> list[Human]:
    """Whoever is out of sight stands nowhere."""
    return [replace(h, world=None) if h.state == TrackingState.SEARCHING else h for h in people]


def warm_up(pipeline: Pipeline) -> None:
    """First inferences are slow; spend them before the first image comes."""
    blank = np.zeros((480, 640, 3), np.uint8)
    for i in range(_WARM_UP_FRAMES):
        frame = Frame(i, i, blank, guess_camera(640, 480))
        pipeline.step(frame)
        pipeline.search(frame)
    pipeline.reset()
