"""What a subscriber of the live node sees: its answers, how late they came, and its last diagnostics."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from hmr_ros.errors import HmrError
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.types import Human, TrackingState

_READY_TIMEOUT_S = 60.0
_QUIET_S = 2.0  # after the camera ended: time for the last answers


@dataclass
class Recording:
    """What the recorder saw on the topics."""

    humans: dict[int, list[Human]] = field(default_factory=dict)  # image stamp ns -> people
    latency_s: list[float] = field(default_factory=list)  # image stamp -> arrival of the answer here
    diagnostics: dict[str, str] = field(default_factory=dict)  # last status of the node
    sent_ns: list[int] = field(default_factory=list)  # stamps that the camera published


class Recorder:
    """Subscriber to the node's topics; runs in the process of `hmr demo`."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import DurabilityPolicy, QoSProfile

        from hmr_ros.msg import BodyModel, HumanArray

        self.recording = Recording()
        self._ready = False
        self._node = rclpy.create_node("demo_recorder")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(BodyModel, "/hmr/body_model", self._on_body, latched)
        self._node.create_subscription(HumanArray, "/hmr/humans", self._on_humans, 50)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def wait_until_ready(self, node: subprocess.Popen[bytes]) -> None:
        """Return once the node has published its body model, i.e. has loaded everything."""
        import rclpy

        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._ready:
            rclpy.spin_once(self._node, timeout_sec=0.1)
            if node.poll() is not None:
                raise HmrError(f"the node ended with code {node.returncode} before it was ready; see its lines above")
            if time.monotonic() > deadline:
                raise HmrError("the node did not become ready within a minute; run `hmr doctor`")

    def record(self, camera: subprocess.Popen[bytes], node: subprocess.Popen[bytes], expected: int) -> None:
        """Take in everything until the camera has ended and its last images are answered."""
        import rclpy

        ended: float | None = None
        with tqdm(total=expected, unit="frame", desc="live") as bar:
            while ended is None or time.monotonic() - ended < _QUIET_S:
                rclpy.spin_once(self._node, timeout_sec=0.05)
                bar.update(len(self.recording.latency_s) - bar.n)
                if ended is None and (camera.poll() is not None or node.poll() is not None):
                    ended = time.monotonic()

    def close(self) -> None:
        """Leave the ROS graph."""
        self._node.destroy_node()

    def _on_body(self, _: Any) -> None:
        self._ready = True

    def _on_humans(self, message: Any) -> None:
        from hmr_ros.ros.convert import humans_from_msg

        arrival = time.time_ns()
        stamp = stamp_ns(message.header.stamp)
        self.recording.latency_s.append((arrival - stamp) * 1e-9)
        seen = [h for h in humans_from_msg(message) if h.state != TrackingState.SEARCHING]
        self.recording.humans[stamp] = seen

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if "hmr" in status.name:
                self.recording.diagnostics = {v.key: v.value for v in status.values}
