"""Depth messages of ROS: what they hold in metres, and which of them belongs to an image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.io.depth import depth_in_metres
from hmr_ros.io.encodings import DEPTH_ENCODINGS, ENCODINGS, MAX_PIXELS, check_size, compressed_depth, pixels
from hmr_ros.types import Floats, Frame

_COMPRESSED = ("compressed", "compressedDepth")
_KEPT = 30  # depth messages of a topic that wait for their image
_PATIENCE_NS = 500_000_000  # so long, in stamps of images, may a depth message be recorded after its image
_USUAL_PERIOD_NS = 33_333_333


def is_compressed(topic: str) -> bool:
    """Whether a depth topic carries sensor_msgs/CompressedImage: image_transport names the transport last."""
    return topic.rsplit("/", 1)[-1] in _COMPRESSED


def decode_depth(message: Any, max_pixels: int = MAX_PIXELS) -> Floats:
    """sensor_msgs/Image (16UC1 mm, 32FC1 m) or CompressedImage (compressedDepth) -> [H,W] float32 m, NaN where unknown.

    InputError for other encodings, damaged data and images of more than `max_pixels`.
    """
    if hasattr(message, "format"):
        return depth_in_metres(compressed_depth(message, max_pixels))
    check_size(message.width, message.height, max_pixels)
    kind = DEPTH_ENCODINGS.get(message.encoding.strip().lower())
    if kind is None:
        known = ", ".join(sorted({*DEPTH_ENCODINGS.values(), "mono16"}))
        raise InputError(f"depth encoding '{message.encoding}' is not one of {known}; is it a depth topic?")
    return depth_in_metres(pixels(message, ENCODINGS[kind]))


def frame_problem(depth_frame: str, image_frame: str) -> str:
    """What is wrong with the frame_ids of a depth message and its image; empty where they are one."""
    if depth_frame == image_frame:
        return ""
    return f"depth is in frame '{depth_frame}', the image in '{image_frame}': is it registered?"


class ImagePeriod:
    """Running median of the time between the images of a topic."""

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=15)
        self._last: int | None = None

    def image(self, stamp_ns: int) -> None:
        """The next image has this stamp."""
        if self._last is not None and stamp_ns > self._last:
            self._gaps.append(stamp_ns - self._last)
        self._last = stamp_ns

    @property
    def half_ns(self) -> int:
        """Half a frame; that of 30 Hz before a second image has come."""
        return int(np.median(self._gaps) if self._gaps else _USUAL_PERIOD_NS) // 2


class DepthQueue:
    """The last messages of a depth topic, to be found by the stamp of an image."""

    def __init__(self, kept: int = _KEPT) -> None:
        """`kept`: messages that are remembered."""
        self._messages: deque[tuple[int, Any]] = deque(maxlen=kept)

    def add(self, stamp_ns: int, message: Any) -> None:
        """The next message of the topic; the oldest one goes."""
        self._messages.append((stamp_ns, message))

    def nearest(self, stamp_ns: int, within_ns: int) -> Any | None:
        """The message whose stamp is nearest to this, None where all are further away than `within_ns`."""
        stamp, message = min(self._messages, key=lambda m: abs(m[0] - stamp_ns), default=(None, None))
        return message if stamp is not None and abs(stamp - stamp_ns) <= within_ns else None

    def is_past(self, stamp_ns: int) -> bool:
        """Whether nothing nearer to this stamp is to come."""
        return bool(self._messages) and self._messages[-1][0] >= stamp_ns


class DepthMatching:
    """Frames of a recording and its depth messages in order of recording -> frames with their depth."""

    def __init__(self, period: ImagePeriod) -> None:
        """`period` may know images already."""
        self._period = period
        self._waiting: deque[Frame] = deque()
        self._depths = DepthQueue()

    def frame(self, frame: Frame) -> None:
        """The next frame of the recording."""
        self._period.image(frame.stamp_ns)
        self._waiting.append(frame)

    def depth(self, stamp_ns: int, message: Any) -> None:
        """The next depth message of the recording."""
        self._depths.add(stamp_ns, message)

    def matched(self, end: bool = False) -> Iterator[tuple[Frame, Any | None]]:
        """Frames that need wait no longer, each with its message or None; at the `end` all of them."""
        while self._waiting:
            frame = self._waiting[0]
            late = self._waiting[-1].stamp_ns - frame.stamp_ns > _PATIENCE_NS
            if not (end or late or self._depths.is_past(frame.stamp_ns)):
                return
            yield self._waiting.popleft(), self._depths.nearest(frame.stamp_ns, self._period.half_ns)
