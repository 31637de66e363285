"""Which way is up at the moment of an image, of what was heard: transforms by stamp, and accelerations by time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from hmr_ros.config_groups import WorldConfig
from hmr_ros.errors import InputError
from hmr_ros.io.transforms import TransformBuffer
from hmr_ros.types import Floats, GravitySource
from hmr_ros.world.gravity import CameraPose, Gravity, gravity_of_acceleration

WORLD_FRAMES = ("odom", "map", "base_footprint", "base_link")  # whose z is up by REP-105
_TF_SIGMA = np.radians(1.0)
_IMU_S = 1.0  # over which accelerations are averaged
_LEAST_SAMPLES = 5


class HeardGravity:
    """Fed by who listens, asked by who has an image; live or from a recording."""

    def __init__(
        self, config: WorldConfig, transforms: TransformBuffer | None, imu_topic: str, *,
        say: Callable[[str], None], warn: Callable[[str], None], kept_s: float = _IMU_S,
    ) -> None:  # fmt: skip
        """`transforms`: None where nobody hears /tf; `imu_topic`: of the accelerations, empty where none come, which
        are kept for `kept_s`."""
        self._config, self._transforms, self._imu_topic = config, transforms, imu_topic
        self._say, self._warn, self._kept_s = say, warn, kept_s
        self._found = ""  # the frame that is the world from its first answer on
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, Floats]] = deque()  # seconds and acceleration
        self._imu_frame = ""

    def accelerated(self, seconds: float, frame_id: str, acceleration: Floats) -> None:
        """What an Imu measured [3] m/s^2 in its own frame; `seconds` of the clock of `pose`."""
        with self._lock:
            self._imu_frame = frame_id
            self._samples.append((seconds, acceleration))
            while seconds - self._samples[0][0] > self._kept_s:
                self._samples.popleft()

    def pose(
        self, frame_id: str, stamp_ns: int, seconds: float, timeout_s: float = 0.0
    ) -> tuple[CameraPose | None, bool]:
        """Of the camera, whose images are in `frame_id`, at the stamp of an image, which is at `seconds`; None where
        neither a transform nor an Imu says it. And whether people get a world at all: not where their frame is missing
        at this moment. A transform that was there before is waited for, `timeout_s` long."""
        kind = self._config.gravity
        if kind in ("auto", "tf") and self._transforms is not None:
            found = self._of_transform(frame_id, stamp_ns, timeout_s)
            if found is not None or self._found or kind == "tf":
                return found, found is not None
        if kind == "imu" and not self._imu_topic:
            self._warn("people have no world: world.gravity is imu, and there is none; name it with world.imu_topic")
        if kind in ("auto", "imu") and self._imu_topic:
            try:
                return CameraPose(self._of_imu(frame_id, stamp_ns, seconds)), True
            except InputError as error:
                self._warn(f"no gravity from the Imu: {error}")
        return None, kind not in ("tf", "imu")

    def _of_transform(self, frame_id: str, stamp_ns: int, timeout_s: float) -> CameraPose | None:
        assert self._transforms is not None
        wanted = self._config.frame
        names = [self._found] if self._found else [wanted] if wanted else list(WORLD_FRAMES)
        problem = ""
        for name in names:
            try:
                place = self._transforms.lookup(name, frame_id, stamp_ns, timeout_s if self._found or wanted else 0.0)
            except InputError as error:
                problem = problem or str(error)
                continue
            if not self._found:
                self._say(f"the world is '{name}' on /tf")
            self._found = name
            return CameraPose(Gravity(place.rotation[2], GravitySource.TF, _TF_SIGMA), place, name)
        if self._found or wanted or self._config.gravity == "tf":
            self._warn(f"people have no world: {problem}")
        return None

    def _of_imu(self, frame_id: str, stamp_ns: int, seconds: float) -> Gravity:
        """InputError where nothing came, the camera moves, or nobody knows how the Imu is mounted."""
        with self._lock:
            recent = [a for s, a in self._samples if abs(seconds - s) <= _IMU_S]
            frame = self._imu_frame
        if len(recent) < _LEAST_SAMPLES:
            raise InputError(f"fewer than {_LEAST_SAMPLES} messages on {self._imu_topic} in a second")
        R = np.eye(3)
        if frame != frame_id:
            if self._transforms is None:
                raise InputError(f"it is in frame '{frame}', not in the images' '{frame_id}', and /tf is not read")
            R = self._transforms.lookup(frame_id, frame, stamp_ns, 0.0).rotation
        return gravity_of_acceleration(np.mean(recent, axis=0), R)
