"""Image encodings of ROS messages to BGR and back, by table: fast, and no NumPy ABI to match as with cv_bridge."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.types import Image

Convert = Callable[[Any], Any]
Fallback = Callable[[Any], Image]  # sensor_msgs/Image -> BGR [H,W,3]; InputError where it cannot


@dataclass(frozen=True)
class Encoding:
    """Layout of one encoding and the way to BGR."""

    dtype: str  # NumPy type without byte order
    channels: int
    to_bgr: Convert


def _color(code: int) -> Convert:
    return lambda image: cv2.cvtColor(image, code)


def _depth_to_bgr(image: Any) -> Any:
    """Depth or intensity stretched to grey; invalid (0, NaN, inf) is black."""
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    valid = values[values > 0]
    top = float(np.percentile(valid, 99)) if valid.size else 1.0
    grey = np.clip(values * (255.0 / max(top, 1e-9)), 0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _mono16_to_bgr(image: Any) -> Any:
    return cv2.cvtColor((image >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)


# OpenCV names Bayer patterns by the second row's second and third pixel, ROS by the first two: RGGB is OpenCV's BG
ENCODINGS: dict[str, Encoding] = {
    "bgr8": Encoding("u1", 3, lambda image: image),
    "8UC3": Encoding("u1", 3, lambda image: image),
    "rgb8": Encoding("u1", 3, _color(cv2.COLOR_RGB2BGR)),
    "bgra8": Encoding("u1", 4, _color(cv2.COLOR_BGRA2BGR)),
    "rgba8": Encoding("u1", 4, _color(cv2.COLOR_RGBA2BGR)),
    "mono8": Encoding("u1", 1, _color(cv2.COLOR_GRAY2BGR)),
    "8UC1": Encoding("u1", 1, _color(cv2.COLOR_GRAY2BGR)),
    "mono16": Encoding("u2", 1, _mono16_to_bgr),
    "yuv422": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_UYVY)),
    "yuv422_yuy2": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_YUY2)),
    "bayer_rggb8": Encoding("u1", 1, _color(cv2.COLOR_BayerBG2BGR)),
    "bayer_bggr8": Encoding("u1", 1, _color(cv2.COLOR_BayerRG2BGR)),
    "bayer_gbrg8": Encoding("u1", 1, _color(cv2.COLOR_BayerGR2BGR)),
    "bayer_grbg8": Encoding("u1", 1, _color(cv2.COLOR_BayerGB2BGR)),
    "16UC1": Encoding("u2", 1, _depth_to_bgr),
    "32FC1": Encoding("f4", 1, _depth_to_bgr),
}


def decode_image(message: Any, fallback: Fallback | None = None) -> Image:
    """sensor_msgs/Image or CompressedImage (rclpy or rosbags) -> BGR [H,W,3]; InputError for unknown encodings and
    short or damaged data.

    `fallback` is asked for encodings that the table lacks.
    """
    if hasattr(message, "format"):
        return decode_compressed(message)
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        unknown = f"image encoding '{message.encoding}' is unknown; known are {', '.join(ENCODINGS)}"
        if fallback is None:
            raise InputError(unknown)
        try:
            return fallback(message)
        except InputError as error:
            raise InputError(f"{unknown}; {error}") from error
    try:
        return np.asarray(encoding.to_bgr(pixels(message, encoding)), np.uint8)
    except cv2.error as error:
        raise InputError(
            f"image of {message.width}x{message.height} cannot be {message.encoding}: odd size?"
        ) from error


def pixels(message: Any, encoding: Encoding) -> Any:
    """Values of a sensor_msgs/Image as the encoding says, [H,W] or [H,W,channels]; InputError for short data."""
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = message.width * encoding.channels * dtype.itemsize
    step = message.step or row_bytes
    data = np.frombuffer(message.data, np.uint8)
    if not message.width or not message.height or step < row_bytes or data.size < step * message.height:
        raise InputError(
            f"image of {message.width}x{message.height} {message.encoding} with step {message.step} needs "
            f"{max(step, row_bytes) * message.height} bytes and has {data.size}; check the driver"
        )
    rows = data[: step * message.height].reshape(message.height, step)[:, :row_bytes]
    values = np.ascontiguousarray(rows).view(dtype).astype(encoding.dtype, copy=False)
    return values.reshape(
        (message.height, message.width, encoding.channels) if encoding.channels > 1 else (-1, message.width)
    )


def decode_compressed(message: Any) -> Image:
    """sensor_msgs/CompressedImage (jpeg, png) -> BGR [H,W,3]."""
    image = uncompressed(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"compressed image ({message.format or 'no format'}) cannot be decoded; jpeg and png can")
    return np.asarray(image, np.uint8)


def uncompressed(data: Any, flags: int) -> Any | None:
    """Bytes [N] of a jpeg or png as cv2.imread reads such a file; None where they cannot be decoded."""
    try:
        return cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # the header asks for more pixels than OpenCV allows
        return None


def stamp_ns(stamp: Any) -> int:
    """builtin_interfaces/Time -> nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def image_bytes(image: Image) -> array[int]:
    """Pixels as the array type of message fields; assigning an ndarray instead would copy element by element."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    return data
