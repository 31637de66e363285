"""The node `fusion`: HumanArrays of several cameras in, one set of people in a common frame out.

A managed node as `hmr` is; it owns topics and time, the rest is `hmr_ros.fusion`. A moment costs some milliseconds a
person, so the executor's thread answers.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.fusion.fusion import CameraView, Fusion
from hmr_ros.fusion.matching import Moment, StampMatcher
from hmr_ros.fusion.settings import FusionConfig
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.msg import HumanArray
from hmr_ros.ros.cameras import FusedCamera, fused_cameras
from hmr_ros.ros.convert import humans_from_msg
from hmr_ros.ros.diagnostics import rest
from hmr_ros.ros.fusion_statistics import FusionStatistics
from hmr_ros.ros.inputs import resolved
from hmr_ros.ros.managed import ManagedNode
from hmr_ros.ros.parameters import changed, declared
from hmr_ros.ros.publishers import Answer, Publishers
from hmr_ros.ros.transforms import TransformListener
from hmr_ros.types import Human

_LOOK_S = 0.01  # between two looks at the clock while a moment waits for a camera
_HOW = "give cameras:=FILE, see config/cameras.yaml"


class FusionNode(ManagedNode):
    """What the cameras' nodes say of a moment in, people out."""

    def __init__(self) -> None:
        """Unconfigured; ConfigError where a parameter is wrong."""
        super().__init__("fusion")
        self._config = declared(self, FusionConfig())
        self._cameras: dict[str, FusedCamera] = {}
        self._body: BodyModel | None = None
        self._outputs: Publishers | None = None
        self._fusion: Fusion | None = None
        self._matcher: StampMatcher[HumanArray] | None = None
        self._statistics = FusionStatistics({})
        self._transforms: TransformListener | None = None
        self._subscriptions_of_cameras: list[Any] = []
        self._begin(self._config.autostart, self._config.output.diagnostics_period_s)
        self._wait_timer = self.create_timer(_LOOK_S, self._answer_ready, clock=self._steady)
        self._wait_timer.cancel()

    def _configure(self) -> None:
        if not self._config.cameras:
            raise ConfigError(f"no cameras file; {_HOW}")
        self._cameras = fused_cameras(self._config.cameras)
        for camera in self._cameras.values():
            resolved(self, camera.humans_topic, f"humans_topic in {self._config.cameras}")
        self._body = load_body(self._config.body or None)
        self._outputs = Publishers(self, self._config.output.published, self._body, self._notices, images=False)

    def _activate(self) -> None:
        assert self._body is not None and self._outputs is not None
        config = self._config
        if not config.output.target_frame:
            raise ConfigError("output.target_frame is empty; name the common frame of the cameras")
        self._outputs.config = config.output.published
        self._fusion = Fusion(self._body, config.keep_s)
        self._matcher = StampMatcher(list(self._cameras), config.tolerance_s, config.wait_s)
        if any(c.pose is None for c in self._cameras.values()):
            self._transforms = TransformListener(self)
        # best effort takes from every publisher
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscriptions_of_cameras = [
            self.create_subscription(HumanArray, c.humans_topic, lambda m, name=name: self._on_humans(name, m), qos)
            for name, c in self._cameras.items()
        ]
        topics = [s.topic_name for s in self._subscriptions_of_cameras]
        self._statistics = FusionStatistics(dict(zip(self._cameras, topics, strict=True)))
        self.get_logger().info(f"ready: {', '.join(topics)} -> {self._outputs.humans.topic_name}")

    def _deactivate(self) -> None:
        self._wait_timer.cancel()
        for subscription in self._subscriptions_of_cameras:
            self.destroy_subscription(subscription)
        if self._transforms is not None:
            self._transforms.close()
        if self._matcher is not None and self._outputs is not None:
            self._outputs.clear()
        self._subscriptions_of_cameras, self._transforms, self._matcher, self._fusion = [], None, None, None

    def _cleanup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = self._body = None

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._fusion is not None and self._matcher is not None:
            self._fusion.reset()
            self._matcher.reset()
        response.success, response.message = True, "everybody is forgotten"
        return response

    def _on_set_parameters(self, given: list[Any]) -> SetParametersResult:
        try:
            config = changed(self._config, given, self.state)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._config = config
        self._report_every(config.output.diagnostics_period_s)
        if self._outputs is not None:
            self._outputs.config = config.output.published
        return SetParametersResult(successful=True)

    def _on_humans(self, camera: str, message: HumanArray) -> None:
        if self._matcher is None:
            return
        stamp = stamp_ns(message.header.stamp)
        self._statistics.received(camera, stamp, len(message.humans))
        self._matcher.add(camera, stamp, message, time.monotonic())
        self._answer_ready()

    def _answer_ready(self) -> None:
        """Answer the moments that are complete, or have waited long enough."""
        if self._matcher is None:
            return
        for moment in self._matcher.ready(time.monotonic()):
            try:
                self._answer(moment)
            except Exception as error:  # a bad message must not end the node
                self._notices.warn(f"moment skipped: {type(error).__name__}: {' '.join(str(error).split())}")
        if self._matcher.waiting:
            self._wait_timer.reset()
        else:
            self._wait_timer.cancel()

    def _answer(self, moment: Moment[HumanArray]) -> None:
        assert self._fusion is not None and self._outputs is not None
        views = {}
        for camera, (_, message) in moment.said.items():
            try:
                views[camera] = self._view(camera, message)
            except InputError as error:
                self._notices.warn(f"{camera} is left out: {error}")
                self._statistics.problem(camera, str(error))
        if not views:
            return
        people = self._fusion(moment.stamp_ns, views)
        newest = max((m.header for _, m in moment.said.values()), key=lambda h: stamp_ns(h.stamp))
        header = Header(stamp=newest.stamp, frame_id=self._config.output.target_frame)
        self._outputs.publish(Answer(None, header, people, people, header))
        latency_ns = int(self.get_clock().now().nanoseconds) - moment.stamp_ns
        self._statistics.answered(latency_ns, self._fusion.cameras)

    def _view(self, camera: str, message: HumanArray) -> CameraView:
        """What a camera said, and where it was; InputError where that cannot be used."""
        assert self._body is not None
        target, frame = self._config.output.target_frame, message.header.frame_id
        if frame == target:
            raise InputError(
                f"its people are in '{target}' already, where their rays are not known; leave target_frame of its node"
                " empty"
            )
        stamp = stamp_ns(message.header.stamp)
        pose = self._cameras[camera].pose
        if pose is None:
            assert self._transforms is not None
            try:
                pose = self._transforms.buffer.lookup(target, frame, stamp, 0.0)
            except InputError as error:
                raise InputError(f"{error}; publish it, or give R and t in {self._config.cameras}") from error
        humans = [h for h in humans_from_msg(message) if _is_finite(h)]
        other = next((h.body_model for h in humans if h.body_model != self._body.name), None)
        if other is not None:
            raise InputError(f"its people have the body '{other}', not '{self._body.name}'; set the parameter body")
        return CameraView(stamp, humans, pose)

    def _diagnosis(self) -> tuple[tuple[bytes, str], dict[str, str]]:
        if self._matcher is None:
            return rest(self.state, str(self.failure or "")), {}
        verdict = self._statistics.verdict({name: self._why_silent(name) for name in self._statistics.silent()})
        now_ns = int(self.get_clock().now().nanoseconds)
        return verdict, self._statistics.values(now_ns, self._matcher.late, self._matcher.alone)

    def _why_silent(self, camera: str) -> str:
        if self.count_publishers(self._statistics.cameras[camera]):
            return "its node runs and publishes nothing; see its own diagnostics"
        return f"nobody publishes it; start the camera's node, or set humans_topic in {self._config.cameras}"


def _is_finite(human: Human) -> bool:
    arrays = (human.joints, human.joint_covariance, human.body_pose, human.global_orient, human.betas, human.K)
    return all(bool(np.isfinite(a).all()) for a in arrays) and bool(human.K[0, 0] > 0 and human.K[1, 1] > 0)
