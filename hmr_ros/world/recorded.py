"""Which way is up, from /tf and Imu of a bag, at the stamps of its images."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from hmr_ros.config import HmrConfig
from hmr_ros.io.bag_motion import BagMotion
from hmr_ros.io.transforms import TransformBuffer
from hmr_ros.types import Floats
from hmr_ros.world.gravity import CameraPose
from hmr_ros.world.heard import HeardGravity

_KEPT_S = 10.0  # of accelerations: the bag is read ahead of its images
_log = logging.getLogger(__name__)


class RecordedGravity:
    """As the node hears it live; a context manager. Every warning comes once."""

    def __init__(self, path: Path, config: HmrConfig) -> None:
        self._optical_frame, self._said = config.input.optical_frame, set[str]()
        self._listens_to_imus = config.world.gravity != "tf"
        self._motion: BagMotion | None = None
        if config.world.gravity not in ("auto", "tf", "imu"):
            return
        buffer = TransformBuffer()
        self._motion = BagMotion(path, buffer, self._accelerated, imu_topic=config.world.imu_topic, warn=self._warn)
        self._heard = HeardGravity(
            config.world, buffer if self._motion.has_transforms or config.world.gravity == "tf" else None,
            self._motion.imu_topic, say=print, warn=self._warn, kept_s=_KEPT_S,
        )  # fmt: skip

    def __enter__(self) -> RecordedGravity:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._motion is not None:
            self._motion.close()

    def pose(self, frame_id: str, stamp_ns: int) -> tuple[CameraPose | None, bool]:
        """Of the camera at the stamp of an image in `frame_id`, as `HeardGravity.pose`; stamps rise."""
        if self._motion is None:
            return None, True
        self._motion.advance(stamp_ns)
        pose, known = self._heard.pose(self._optical_frame or frame_id, stamp_ns, stamp_ns * 1e-9)
        if pose is None and self._motion.imu_choice and self._listens_to_imus:
            self._warn(f"the bag has several Imus: world.imu_topic takes one of {self._motion.imu_choice}")
        return pose, known

    def _accelerated(self, seconds: float, frame_id: str, acceleration: Floats) -> None:
        self._heard.accelerated(seconds, frame_id, acceleration)

    def _warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            _log.warning("%s", text)
