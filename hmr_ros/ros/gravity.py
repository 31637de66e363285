"""Which way is up, from /tf and Imu, at the moment of an image."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu
from std_msgs.msg import Header

from hmr_ros.config import HmrConfig
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.ros.environment import subscribed
from hmr_ros.ros.notices import Notices
from hmr_ros.ros.transforms import TransformListener
from hmr_ros.world.gravity import CameraPose
from hmr_ros.world.heard import HeardGravity


class GravitySources:
    """What a node hears of gravity while it is active."""

    def __init__(self, node: Node, config: HmrConfig, notices: Notices, transforms: TransformListener | None) -> None:
        """`transforms`: None where nobody listens to /tf."""
        self._node, self._timeout_s = node, config.output.target_timeout_s
        self._heard = HeardGravity(
            config.world, transforms.buffer if transforms else None, config.world.imu_topic,
            say=lambda text: node.get_logger().info(text), warn=notices.warn,
        )  # fmt: skip
        self._subscription: Any = None
        if config.world.imu_topic and config.world.gravity in ("auto", "imu"):
            qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._subscription = subscribed(node, Imu, config.world.imu_topic, self._on_imu, qos)

    def close(self) -> None:
        """Leave the topic."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def pose(self, header: Header) -> tuple[CameraPose | None, bool]:
        """Of the camera at the stamp of an image with this header, as `HeardGravity.pose`."""
        return self._heard.pose(header.frame_id, stamp_ns(header.stamp), time.monotonic(), self._timeout_s)

    def _on_imu(self, message: Imu) -> None:
        a = message.linear_acceleration
        self._heard.accelerated(time.monotonic(), message.header.frame_id, np.array([a.x, a.y, a.z]))


def listens_to_tf(config: HmrConfig) -> bool:
    """Whether the world may be a frame on /tf."""
    return config.world.gravity in ("auto", "tf", "imu")
