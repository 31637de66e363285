"""Which way is up, from /tf and Imu, at the moment of an image."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu
from std_msgs.msg import Header

from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.ros.environment import subscribed
from hmr_ros.ros.notices import Notices
from hmr_ros.ros.transforms import TransformListener
from hmr_ros.types import Floats, GravitySource
from hmr_ros.world.gravity import Gravity, gravity_of_acceleration
from hmr_ros.world.live import CameraPose

WORLD_FRAMES = ("odom", "map", "base_footprint", "base_link")  # whose z is up by REP-105
_TF_SIGMA = np.radians(1.0)
_IMU_S = 1.0  # over which accelerations are averaged
_LEAST_SAMPLES = 5


class GravitySources:
    """What a node hears of gravity while it is active."""

    def __init__(self, node: Node, config: HmrConfig, notices: Notices, transforms: TransformListener | None) -> None:
        """`transforms`: None where nobody listens to /tf."""
        self._node, self._config, self._notices, self._transforms = node, config, notices, transforms
        self._found = ""  # the frame on /tf that is the world from its first answer on
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, Floats]] = deque()  # when an acceleration came, and it
        self._imu_frame = ""
        self._subscription: Any = None
        if config.world.imu_topic and config.world.gravity in ("auto", "imu"):
            qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._subscription = subscribed(node, Imu, config.world.imu_topic, self._on_imu, qos)

    def close(self) -> None:
        """Leave the topic."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def pose(self, header: Header) -> tuple[CameraPose | None, bool]:
        """Of the camera at the stamp of an image with this header, None where neither /tf nor an Imu says it; and
        whether people get a world at all: not where their frame on /tf is missing at this moment."""
        kind = self._config.world.gravity
        if kind in ("auto", "tf") and self._transforms is not None:
            found = self._on_tf(header)
            if found is not None or self._found or kind == "tf":
                return found, found is not None
        if self._subscription is not None:
            try:
                return CameraPose(self._of_imu(header)), True
            except InputError as error:
                self._notices.warn(f"no gravity from the Imu: {error}")
        if kind == "imu":
            return None, False
        return None, True

    def _on_tf(self, header: Header) -> CameraPose | None:
        assert self._transforms is not None
        buffer, wanted = self._transforms.buffer, self._config.world.frame
        names = [self._found] if self._found else [wanted] if wanted else list(WORLD_FRAMES)
        # only a frame that was there before is waited for
        timeout = self._config.output.target_timeout_s if self._found or wanted else 0.0
        problem = ""
        for name in names:
            try:
                place = buffer.lookup(name, header.frame_id, stamp_ns(header.stamp), timeout)
            except InputError as error:
                problem = problem or str(error)
                continue
            if not self._found:
                self._node.get_logger().info(f"the world is '{name}' on /tf")
            self._found = name
            gravity = Gravity(place.rotation[2], GravitySource.TF, _TF_SIGMA)
            return CameraPose(gravity, place, name)
        if self._found or wanted:
            self._notices.warn(f"people have no world: {problem}")
        return None

    def _of_imu(self, header: Header) -> Gravity:
        """InputError where nothing came, the camera moves, or nobody knows how the Imu is mounted."""
        now = time.monotonic()
        with self._lock:
            recent = [a for s, a in self._samples if now - s <= _IMU_S]
            frame = self._imu_frame
        if len(recent) < _LEAST_SAMPLES:
            raise InputError(f"fewer than {_LEAST_SAMPLES} messages on {self._config.world.imu_topic} in a second")
        R = np.eye(3)
        if frame != header.frame_id:
            if self._transforms is None:
                raise InputError(
                    f"it is in frame '{frame}', not in the images' '{header.frame_id}', and /tf is not read"
                )
            R = self._transforms.buffer.lookup(header.frame_id, frame, stamp_ns(header.stamp), 0.0).rotation
        return gravity_of_acceleration(np.mean(recent, axis=0), R)

    def _on_imu(self, message: Imu) -> None:
        a = message.linear_acceleration
        with self._lock:
            self._imu_frame = message.header.frame_id
            self._samples.append((time.monotonic(), np.array([a.x, a.y, a.z])))
            while time.monotonic() - self._samples[0][0] > _IMU_S:
                self._samples.popleft()


def listens_to_tf(config: HmrConfig) -> bool:
    """Whether the world may be a frame on /tf."""
    return config.world.gravity in ("auto", "tf", "imu")
