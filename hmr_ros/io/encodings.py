"""Image encodings of ROS messages to BGR and back, by table: fast, and no NumPy ABI to match as with cv_bridge."""

from __future__ import annotations

import functools
import os
import struct
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
_BRIGHT = 99.9  # percentile that says how many bits are in use; single pixels above it are marks or defects
_PNG = b"\x89PNG\r\n\x1a\n"  # how a file of this kind begins
MAX_PIXELS = 134_000_000  # four times 8k; more is an attack on the memory
_MAX_PIXELS_A_BYTE = 8256  # that deflate can make of one: 1032 bytes of eight pixels each
_DEPTH_HEADER = struct.Struct("<iff")  # of compressedDepth: compression format, then the parameters A and B of 32FC1


@dataclass(frozen=True)
class Encoding:
    """Layout of one encoding and the way to BGR."""

    dtype: str  # NumPy type without byte order
    channels: int
    to_bgr: Convert
    # planes of colour below the image: (rows of colour a row of the image, bytes of such a row a byte of the image's)
    chroma: tuple[float, int] | None = None


def _color(code: int) -> Convert:
    return lambda image: cv2.cvtColor(image, code)


def _color16(code: int | None) -> Convert:
    return lambda image: to_8_bits(image) if code is None else cv2.cvtColor(to_8_bits(image), code)


def to_8_bits(image: Any) -> Any:
    """16 bit values as 8 bit ones of the same brightness. Drivers put 10, 12 or 14 bits into 16 and do not say so; the
    brightest pixels do."""
    step = 4 if image.shape[0] > 64 else 1
    bits = int(np.percentile(image[::step, ::step], _BRIGHT)).bit_length()
    used = next(b for b in (8, 10, 12, 14, 16) if bits <= b)
    return np.minimum(image >> (used - 8), 255).astype(np.uint8)


def depth_to_bgr(image: Any) -> Any:
    """Depth or intensity stretched to grey; invalid (0, NaN, inf) is black."""
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    valid = values[values > 0]
    top = float(np.percentile(valid, 99)) if valid.size else 1.0
    grey = np.clip(values * (255.0 / max(top, 1e-9)), 0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _nv24_to_bgr(planes: Any, order: tuple[int, int] = (0, 1)) -> Any:
    """Luma [H,W], and below it pairs of colour for every pixel: video range BT.601, as OpenCV reads the other YUVs."""
    height = len(planes) // 3
    pairs = planes[height:].reshape(height, -1, 2)
    scaled = [(planes[:height].astype(np.float32) - 16) * (255 / 219)]
    scaled += [(pairs[..., i].astype(np.float32) - 128) * (255 / 224) + 128 for i in (order[1], order[0])]
    full = np.clip(np.rint(np.dstack(scaled)), 0, 255).astype(np.uint8)
    return cv2.cvtColor(full, cv2.COLOR_YCrCb2BGR)


_YUV420, _YUV444 = (0.5, 1), (1.0, 2)
# OpenCV names Bayer patterns by the second row's second and third pixel, ROS by the first two: RGGB is OpenCV's BG
_BAYER = {"rggb": cv2.COLOR_BayerBG2BGR, "bggr": cv2.COLOR_BayerRG2BGR,
          "gbrg": cv2.COLOR_BayerGR2BGR, "grbg": cv2.COLOR_BayerGB2BGR}  # fmt: skip
# names as sensor_msgs/image_encodings.hpp spells them, and those of drivers; case does not matter
ENCODINGS: dict[str, Encoding] = {
    "bgr8": Encoding("u1", 3, lambda image: image),
    "8UC3": Encoding("u1", 3, lambda image: image),
    "rgb8": Encoding("u1", 3, _color(cv2.COLOR_RGB2BGR)),
    "bgra8": Encoding("u1", 4, _color(cv2.COLOR_BGRA2BGR)),
    "8UC4": Encoding("u1", 4, _color(cv2.COLOR_BGRA2BGR)),
    "rgba8": Encoding("u1", 4, _color(cv2.COLOR_RGBA2BGR)),
    "bgr16": Encoding("u2", 3, _color16(None)),
    "16UC3": Encoding("u2", 3, _color16(None)),
    "rgb16": Encoding("u2", 3, _color16(cv2.COLOR_RGB2BGR)),
    "bgra16": Encoding("u2", 4, _color16(cv2.COLOR_BGRA2BGR)),
    "16UC4": Encoding("u2", 4, _color16(cv2.COLOR_BGRA2BGR)),
    "rgba16": Encoding("u2", 4, _color16(cv2.COLOR_RGBA2BGR)),
    "mono8": Encoding("u1", 1, _color(cv2.COLOR_GRAY2BGR)),
    "8UC1": Encoding("u1", 1, _color(cv2.COLOR_GRAY2BGR)),
    "mono16": Encoding("u2", 1, _color16(cv2.COLOR_GRAY2BGR)),
    "16UC1": Encoding("u2", 1, depth_to_bgr),
    "32FC1": Encoding("f4", 1, depth_to_bgr),
    "uyvy": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_UYVY)),
    "yuv422": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_UYVY)),  # the old name of uyvy
    "yuyv": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_YUY2)),
    "yuv422_yuy2": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_YUY2)),  # the old name of yuyv
    "yuy2": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_YUY2)),
    "yvyu": Encoding("u1", 2, _color(cv2.COLOR_YUV2BGR_YVYU)),
    "nv12": Encoding("u1", 1, _color(cv2.COLOR_YUV2BGR_NV12), _YUV420),
    "nv21": Encoding("u1", 1, _color(cv2.COLOR_YUV2BGR_NV21), _YUV420),
    "nv24": Encoding("u1", 1, _nv24_to_bgr, _YUV444),
    "nv42": Encoding("u1", 1, lambda planes: _nv24_to_bgr(planes, (1, 0)), _YUV444),
}  # fmt: skip
ENCODINGS |= {f"bayer_{order}8": Encoding("u1", 1, _color(code)) for order, code in _BAYER.items()}
ENCODINGS |= {f"bayer_{order}16": Encoding("u2", 1, _color16(code)) for order, code in _BAYER.items()}
_BY_NAME = {name.lower(): encoding for name, encoding in ENCODINGS.items()}


def check_size(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """InputError where an image of this size has more than `max_pixels`; asked before anything is decoded."""
    if width * height > max_pixels:
        raise InputError(
            f"image of {width}x{height} has more than {max_pixels * 1e-6:g} megapixels; give a smaller one, or raise"
            " input.max_megapixels"
        )


def decode_image(message: Any, fallback: Fallback | None = None, max_pixels: int = MAX_PIXELS) -> Image:
    """sensor_msgs/Image or CompressedImage (rclpy or rosbags) -> BGR [H,W,3]; InputError for unknown encodings and
    short or damaged data, and images of more than `max_pixels`.

    `fallback` is asked for encodings that the table lacks.
    """
    if hasattr(message, "format"):
        return decode_compressed(message, max_pixels)
    check_size(message.width, message.height, max_pixels)
    encoding = _BY_NAME.get(message.encoding.strip().lower())
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
    """Values of a sensor_msgs/Image as the encoding says, [H,W] or [H,W,channels]; with planes of colour below, in rows
    of W. InputError for short data."""
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = message.width * encoding.channels * dtype.itemsize
    step = message.step or row_bytes
    rows, wide = encoding.chroma or (0.0, 1)
    chroma_rows = int(message.height * rows)
    needed = max(step, row_bytes) * (message.height + chroma_rows * wide)
    data = np.frombuffer(message.data, np.uint8)
    size = f"{message.width}x{message.height}"
    if not message.width or not message.height:
        raise InputError(f"image is empty ({size}); check the driver")
    if step < row_bytes:
        raise InputError(
            f"image of {size} {message.encoding} says {step} bytes a row (step), "
            f"{row_bytes} are needed; check the driver"
        )
    if data.size < needed:
        raise InputError(
            f"image of {size} {message.encoding} with step {message.step} needs "
            f"{needed} bytes and has {data.size}; check the driver"
        )
    if encoding.chroma and (chroma_rows != message.height * rows or (wide == 1 and message.width % 2)):
        raise InputError(f"image of {message.width}x{message.height} cannot be {message.encoding}: odd size?")
    values = _rows(data, message.height, step, row_bytes)
    if encoding.chroma:
        below = _rows(data[step * message.height :], chroma_rows, wide * step, wide * row_bytes)
        values = np.concatenate([values, below.reshape(-1, row_bytes)])
    values = values.view(dtype).astype(encoding.dtype, copy=False)
    return values.reshape((-1, message.width, encoding.channels) if encoding.channels > 1 else (-1, message.width))


def _rows(data: Any, count: int, step: int, used: int) -> Any:
    """[count,used] bytes without the padding at the end of each row."""
    return np.ascontiguousarray(data[: step * count].reshape(count, step)[:, :used])


def decode_compressed(message: Any, max_pixels: int = MAX_PIXELS) -> Image:
    """sensor_msgs/CompressedImage (jpeg, png, compressedDepth) -> BGR [H,W,3]; InputError as of `decode_image`."""
    if "compressedDepth" in message.format:
        return np.asarray(depth_to_bgr(compressed_depth(message, max_pixels)), np.uint8)
    image = uncompressed(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, max_pixels)
    if image is None:
        raise InputError(f"compressed image ({message.format or 'no format'}) cannot be decoded; jpeg and png can")
    return np.asarray(to_8_bits(image) if image.dtype == np.uint16 else image, np.uint8)


def compressed_depth(message: Any, max_pixels: int = MAX_PIXELS) -> Any:
    """CompressedImage of depth -> [H,W] as a driver would send it raw: uint16, or float32 m with NaN. InputError.

    As in compressed_depth_image_transport: a header of 12 bytes, then a PNG of 16UC1 values or, for 32FC1, of quantised
    inverse depth. The plain transport (`16UC1; png compressed`) has no header.
    """
    encoding, _, transport = message.format.partition(";")
    kind = DEPTH_ENCODINGS.get(encoding.strip().lower())
    if kind is None or "rvl" in transport.lower() or "jpeg" in transport:
        raise InputError(
            f"depth format '{message.format}' cannot be decoded; let the driver publish compressedDepth png"
        )
    data = bytes(message.data)
    has_header = not transport.strip() or "compressedDepth" in transport
    png = np.frombuffer(data, np.uint8, offset=min(_DEPTH_HEADER.size, len(data)) if has_header else 0)
    stored = uncompressed(png, cv2.IMREAD_UNCHANGED, max_pixels)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        raise InputError(f"compressed depth ({message.format}) is damaged or not 16 bit; check the driver")
    if kind == "16UC1":
        return stored
    if not has_header:
        raise InputError(f"depth format '{message.format}' has no scale; let the driver publish compressedDepth png")
    _, a, b = _DEPTH_HEADER.unpack_from(data)
    with np.errstate(all="ignore"):
        return np.where(stored > 0, np.float32(a) / (stored - np.float32(b)), np.float32(np.nan))


# lower case -> the encoding of depth that it means; OpenNI drivers call millimetres mono16
DEPTH_ENCODINGS = {"16uc1": "16UC1", "mono16": "16UC1", "32fc1": "32FC1"}


def uncompressed(data: Any, flags: int, max_pixels: int = MAX_PIXELS) -> Any | None:
    """Bytes [N] of a jpeg or png as cv2.imread reads such a file; None where they cannot be decoded, InputError where
    they declare more than `max_pixels`."""
    if not data.size:
        return None
    width, height = _declared_size(bytes(data[:65536]))
    check_size(width, height, max_pixels)
    if width * height > _MAX_PIXELS_A_BYTE * data.size:
        return None
    if not _chunks_fit(memoryview(data)):
        return None
    quiet_opencv()
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:  # the header asks for more pixels than OpenCV allows
        return None


@functools.cache  # asked for every image
def quiet_opencv() -> None:
    """Errors are said once, by us: OpenCV and FFmpeg would print theirs between the lines of the progress bar."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ and hasattr(cv2, "utils") and hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _declared_size(head: bytes) -> tuple[int, int]:
    """Width and height that a png or jpeg says it has, before anything of it is decoded; 0 where that cannot be
    told."""
    if head[:8] == _PNG and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return int(width), int(height)
    at = 2
    while head[:2] == b"\xff\xd8" and at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return int(width), int(height)
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return 0, 0


def _chunks_fit(data: memoryview) -> bool:
    """Whether all chunks of a png lie within it (True for anything else): OpenCV makes room for what each declares."""
    if bytes(data[:8]) != _PNG:
        return True
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            break
    return at <= len(data)


def stamp_ns(stamp: Any) -> int:
    """builtin_interfaces/Time -> nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def image_bytes(image: Image) -> array[int]:
    """Pixels as the array type of message fields; assigning an ndarray instead would copy element by element."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    return data
