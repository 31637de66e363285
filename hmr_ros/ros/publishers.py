"""The node's outgoing topics; costly ones are made only while somebody listens."""

from __future__ import annotations

import importlib.util
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from hmr_ros.msg import BodyModel as BodyModelMsg
from hmr_ros.msg import HumanArray, HypothesisArray
from hmr_ros.ros.convert import body_to_msg, humans_to_msg, hypotheses_to_msg, image_to_msg
from hmr_ros.ros.diagnostics import diagnosis
from hmr_ros.ros.markers import MeshMarkers, SkeletonMarkers
from hmr_ros.ros.statistics import Period
from hmr_ros.types import Frame, Human
from hmr_ros.view.overlay import draw_humans

_DEPTH = 10


class Publishers:
    """All publishers of one node."""

    def __init__(self, node: Node, config: HmrConfig, body: BodyModel) -> None:
        self._node, self._config, self._body = node, config, body
        self.humans = node.create_publisher(HumanArray, "~/humans", _DEPTH)
        self._hypotheses = node.create_publisher(HypothesisArray, "~/hypotheses", _DEPTH)
        self._markers = node.create_publisher(MarkerArray, "~/markers", _DEPTH)
        self._mesh = node.create_publisher(Marker, "~/mesh", _DEPTH)
        self._overlay = node.create_publisher(Image, "~/overlay", 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", _DEPTH)
        self._tf = _tf_publisher(node, config.output.tf_prefix) if config.output.tf else None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._latched_body = node.create_publisher(BodyModelMsg, "~/body_model", latched)
        self._latched_body.publish(body_to_msg(body))
        self._skeletons, self._meshes = SkeletonMarkers(), MeshMarkers(body)

    def publish(self, frame: Frame, humans: list[Human], header: Header) -> None:
        """Everything about one frame; parameters first, what only people look at last."""
        self.humans.publish(humans_to_msg(humans, header))
        if self._tf is not None:
            self._tf(humans, header)
        if self._config.hypotheses.count and self._hypotheses.get_subscription_count():
            self._hypotheses.publish(hypotheses_to_msg(humans, header))
        if self._markers.get_subscription_count():
            self._markers.publish(self._skeletons(humans, header))
        if self._mesh.get_subscription_count():
            for message in self._meshes(humans, header):
                self._mesh.publish(message)
        if self._overlay.get_subscription_count():
            self._overlay.publish(image_to_msg(draw_humans(frame.image, humans, self._body), header))

    def diagnose(self, period: Period) -> None:
        """One status on /diagnostics."""
        message = diagnosis(f"{self._node.get_fully_qualified_name()}: people", period, self._config.input)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _tf_publisher(node: Node, prefix: str) -> Any:
    """Function that broadcasts one frame a person, or None where tf2_msgs is not installed."""
    if importlib.util.find_spec("tf2_msgs") is None:
        node.get_logger().info("tf2_msgs is not installed: no /tf; `make setup` builds it")
        return None
    from tf2_msgs.msg import TFMessage

    publisher = node.create_publisher(TFMessage, "/tf", 100)

    def broadcast(humans: list[Human], header: Header) -> None:
        if humans:
            publisher.publish(TFMessage(transforms=[pelvis_transform(h, header, prefix) for h in humans]))

    return broadcast


def pelvis_transform(human: Human, header: Header, prefix: str) -> TransformStamped:
    """Frame of a person: origin at the pelvis, axes of the body (left +x, up +y, front +z)."""
    transform = TransformStamped(header=header, child_frame_id=f"{prefix}{human.track_id}")
    position, rotation = transform.transform.translation, transform.transform.rotation
    position.x, position.y, position.z = human.joints[0].tolist()
    quat_wxyz = quaternion_from_matrix(matrix_from_axis_angle(human.global_orient)).tolist()
    rotation.w, rotation.x, rotation.y, rotation.z = quat_wxyz
    return transform
