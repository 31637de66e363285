"""What a bag says of where its camera is: /tf, /tf_static and an Imu, read a little ahead of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.io.bags import one_line, opened_bag
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.io.transforms import TransformBuffer
from hmr_ros.types import Floats

_TF, _STATIC, _IMU = "/tf", "/tf_static", "sensor_msgs/msg/Imu"
_AHEAD_NS = 2 * 10**9  # of an image: what belongs to it may be recorded later


class BagMotion:
    """Fills a buffer with the transforms of a bag, and hands over its accelerations; `close` it."""

    def __init__(
        self, path: Path, transforms: TransformBuffer, on_imu: Callable[[float, str, Floats], None], *,
        imu_topic: str, warn: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`on_imu` gets the seconds of a stamp, the frame and the acceleration [3] m/s^2 of `imu_topic`; where that is
        empty, of the only Imu of the bag."""
        self._transforms, self._on_imu, self._warn = transforms, on_imu, warn
        self._reader = opened_bag(path, lambda _: None)  # whoever reads the images says what is wrong with it
        connections = self._reader.connections
        names = sorted({c.topic for c in connections if c.msgtype == _IMU})
        wanted = f"/{imu_topic.lstrip('/')}" if imu_topic else names[0] if len(names) == 1 else ""
        if imu_topic and wanted not in names:
            warn(f"bag {path} has no Imu topic {wanted}; it has {', '.join(names) or 'none'}")
        self.imu_topic = wanted if wanted in names else ""
        self.imu_choice = "" if imu_topic or len(names) < 2 else ", ".join(names)  # that nobody made
        moving = [c for c in connections if c.topic == _TF or (self.imu_topic and c.topic == self.imu_topic)]
        self.has_transforms = any(c.topic in (_TF, _STATIC) for c in connections)
        self._read_to_ns = -1
        for _ in self._messages([c for c in connections if c.topic == _STATIC]):
            pass  # all of it holds from the beginning
        self._moving = self._messages(moving)

    def close(self) -> None:
        """Read no further."""
        self._reader.close()

    def advance(self, stamp: int) -> None:
        """Read all that belongs to an image with this stamp (ns)."""
        while self._read_to_ns < stamp + _AHEAD_NS:
            newest = next(self._moving, None)
            if newest is None:
                return
            self._read_to_ns = max(self._read_to_ns, newest)

    def _messages(self, connections: list[Any]) -> Iterator[int]:
        """Stamps (ns) of the messages of these connections, after each is handed over."""
        if not connections:
            return
        try:
            for connection, recorded, raw in self._reader.messages(connections=connections):
                yield self._take(connection, recorded, self._reader.deserialize(raw, connection.msgtype))
        except Exception as error:  # a damaged bag ends here; its images say so
            self._warn(f"{', '.join(sorted({c.topic for c in connections}))} cannot be read further: {one_line(error)}")

    def _take(self, connection: Any, recorded: int, message: Any) -> int:
        if connection.topic in (_TF, _STATIC):
            self._transforms.add(message.transforms, connection.topic == _STATIC)
            return min((stamp_ns(t.header.stamp) for t in message.transforms), default=-1)
        stamp = stamp_ns(message.header.stamp) or recorded
        a = message.linear_acceleration
        self._on_imu(stamp * 1e-9, message.header.frame_id, np.array([a.x, a.y, a.z]))
        return stamp
