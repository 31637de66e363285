"""Transforms of others on /tf and /tf_static, by stamp."""

from __future__ import annotations

import importlib.util

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from hmr_ros.errors import ConfigError
from hmr_ros.io.transforms import TransformBuffer


class TransformListener:
    """A buffer that listens to /tf and /tf_static."""

    def __init__(self, node: Node) -> None:
        """ConfigError where tf2_msgs is not installed."""
        if importlib.util.find_spec("tf2_msgs") is None:
            raise ConfigError("transforms of others need tf2_msgs: `make setup` builds it, ROS installations have it")
        from tf2_msgs.msg import TFMessage

        self._node = node
        self.buffer = TransformBuffer()
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda m: self.buffer.add(m.transforms, False), 100),
            node.create_subscription(TFMessage, "/tf_static", lambda m: self.buffer.add(m.transforms, True), latched),
        ]

    def close(self) -> None:
        """Leave the topics; who waits for a transform waits no longer."""
        self.buffer.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
