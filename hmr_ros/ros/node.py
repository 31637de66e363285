"""The live node `hmr`, a managed node: owns topics, time and threads; does no mathematics.

configure loads and warms up, activate subscribes, deactivate stops, cleanup frees the memory.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from std_srvs.srv import Trigger

from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError
from hmr_ros.exchange.stream import LiveStream, is_wanted
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.detections import wants_detections
from hmr_ros.ros.diagnostics import judge, rest
from hmr_ros.ros.environment import give_back_memory
from hmr_ros.ros.gravity import GravitySources, listens_to_tf
from hmr_ros.ros.inputs import Inputs, StampCheck, check_topics, is_remapped
from hmr_ros.ros.managed import ManagedNode
from hmr_ros.ros.parameters import changed, declare_settings
from hmr_ros.ros.publishers import Publishers
from hmr_ros.ros.statistics import LiveStatistics
from hmr_ros.ros.transforms import TransformListener
from hmr_ros.ros.worker import Surroundings, Worker, warm_up

_WATCH_S = 0.5  # between two looks at the graph while no image comes


class HmrNode(ManagedNode):
    """Newest image in, people out."""

    def __init__(self, pipeline_factory: Callable[[HmrConfig], Pipeline]) -> None:
        """Unconfigured; ConfigError where a parameter is wrong."""
        super().__init__("hmr")
        self._config = declare_settings(self)
        check_topics(self, self._config)
        self._make_pipeline = pipeline_factory
        self._statistics = LiveStatistics()
        self._pipeline: Pipeline | None = None
        self._outputs: Publishers | None = None
        self._inputs: Inputs | None = None
        self._transforms: TransformListener | None = None
        self._gravity: GravitySources | None = None
        self._worker: Worker | None = None
        self._stream: LiveStream | None = None
        self._from_boxes = False  # people come from another detector
        self._silence = ""
        self._begin(self._config.autostart, self._config.output.diagnostics_period_s)
        self._watch_timer = self.create_timer(_WATCH_S, self._watch, clock=self._steady)
        self._watch_timer.cancel()

    def _configure(self) -> None:
        config = self._config
        self._from_boxes = wants_detections(is_remapped(self, "detections"), config)
        if self._from_boxes:
            config = replace(config, detector=replace(config.detector, kind="external"))
        self._pipeline = self._make_pipeline(config)
        warm_up(self._pipeline)
        self._outputs = Publishers(self, self._config.output, self._pipeline.body, self._notices)

    def _activate(self) -> None:
        assert self._pipeline is not None and self._outputs is not None
        if is_wanted(self._config.stream):
            self._stream = LiveStream(
                self._config.stream, self._pipeline.body, self.get_logger().warning,
                clock=self._now_s, rotate=self._config.input.rotate,
            )  # fmt: skip
        self._transforms = self._listener()
        self._stamps = StampCheck()
        self._inputs = Inputs(self, self._config.input, self._notices, self._on_image, boxes=self._from_boxes)
        self._gravity = GravitySources(self, self._config, self._notices, self._transforms)
        around = Surroundings(
            self,
            self._inputs,
            self._outputs,
            self._statistics,
            self._notices,
            self._transforms,
            self._gravity,
            self._stream,
        )
        self._worker = Worker(self._pipeline, self._config, around)
        self._worker.start()
        self._statistics.restart()
        self._silence = ""
        self._watch_timer.reset()
        gc.collect()
        gc.freeze()  # what is loaded now stays: do not search it for garbage during a frame
        self.get_logger().info(f"ready: {self._inputs.image_topic} -> {self._outputs.humans.topic_name}")

    def _listener(self) -> TransformListener | None:
        """Of /tf, where somebody reads it; ConfigError where it is asked for and cannot be."""
        if self._config.output.target_frame or self._config.world.gravity == "tf":
            return TransformListener(self)
        if not listens_to_tf(self._config) or importlib.util.find_spec("tf2_msgs") is None:
            return None
        return TransformListener(self)

    def _deactivate(self) -> None:
        self._watch_timer.cancel()
        if self._inputs is not None:
            self._inputs.close()
        if self._transforms is not None:  # before the worker, which may wait for one
            self._transforms.close()
        if self._worker is not None:
            self._worker.stop()
            if self._outputs is not None:
                self._outputs.clear()
        if self._stream is not None:
            self._stream.close()
            self.get_logger().info(f"stream: {self._stream.statistics}")
        if self._gravity is not None:
            self._gravity.close()
        self._inputs = self._worker = self._transforms = self._gravity = self._stream = None

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _cleanup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = self._pipeline = None
        gc.unfreeze()
        gc.collect()
        give_back_memory()

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is not None:
            self._worker.reset()
        response.success, response.message = True, "everybody is forgotten before the next image"
        return response

    def _on_set_parameters(self, given: list[Any]) -> SetParametersResult:
        try:
            config = changed(self._config, given, self.state)
            check_topics(self, config)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._config = config
        self._report_every(config.output.diagnostics_period_s)
        if self._worker is not None:
            self._worker.adjust(config)
        return SetParametersResult(successful=True)

    def _on_image(self, message: Any) -> None:
        if self._inputs is None or self._worker is None:
            return
        problem = self._stamps(message.header, self.get_clock().now().to_msg())
        if problem:
            self._statistics.note(problem)
            self._notices.once(problem, problem)
        for matched in (self._inputs.depths, self._inputs.detections):
            if matched is not None:
                matched.image(stamp_ns(message.header.stamp))
        self._worker.image(message)

    def _watch(self) -> None:
        """While no image or box comes, find out why, take another transport or type that is there, and say so once."""
        if self._inputs is None:
            return
        if self._inputs.detections is not None:
            self._inputs.detections.look()
        silence = self._inputs.silence()
        if silence and silence != self._silence:
            self.get_logger().warning(f"no image on {self._inputs.image_topic}: {silence}")
        self._silence = silence

    def _diagnosis(self) -> tuple[tuple[bytes, str], dict[str, str]]:
        period = self._statistics.take()
        if self._inputs is None:
            verdict = rest(self.state, str(self.failure or ""))
        else:
            if self._inputs.loss:
                self._statistics.note(self._inputs.loss)
            verdict = judge(period, self._config.input, self._inputs.image_topic, self._silence)
        return verdict, period.values
