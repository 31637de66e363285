"""What writes a video file: OpenCV, or PyAV where a browser shall play it; both keep the time of every image."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.io.encodings import quiet_opencv
from hmr_ros.io.native_paths import native_path
from hmr_ros.types import Image

_MAX_TIMEBASE = 65535  # MPEG-4 counts time in fractions with at most this denominator
_TICKS = 90_000  # a second, of a stream whose images have their own times
_BT601, _LIMITED = 6, 1  # FFmpeg's numbers of the colours that OpenCV makes
_KEY_S = 2.0  # between images at which a player can begin
# encoders of PyAV that browsers play, the first one that is there; one thread: the networks need the others
_AV_CODECS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("libx264", "H.264", {"preset": "ultrafast", "crf": "22", "threads": "1"}),
    ("libopenh264", "H.264", {}),
    ("libvpx-vp9", "VP9", {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "0", "threads": "1"}),
)


class Encoder(ABC):
    """A file that is being written."""

    codec: str  # for people: H.264, VP9, MPEG-4

    @property
    def in_browsers(self) -> bool:
        """Whether browsers play it."""
        return self.codec in ("H.264", "VP9")

    @abstractmethod
    def write(self, image: Image, time_s: float) -> None:
        """Append a BGR image [H,W,3] that is shown from `time_s` on; times do not fall."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


def open_encoder(path: Path, fps: float, size: tuple[int, int], *, for_browsers: bool) -> Encoder:
    """A new file for images of `size` (width, height) at about `fps`; InputError where it cannot be written.

    `for_browsers`: H.264 or VP9 where PyAV or OpenCV has it. OpenCV's own wheels have no H.264, and their VP9 takes 60
    times as long as MPEG-4, for OpenCV has no way to ask for a fast one.
    """
    if for_browsers:
        try:
            av = importlib.import_module("av")
        except ImportError:
            pass
        else:
            return _AvEncoder(av, path, fps, size)
    return _OpenCvEncoder(path, fps, size)


class _OpenCvEncoder(Encoder):
    """At a constant rate: an image is repeated until the next one's time, those that share a place are one."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        quiet_opencv()
        self._fps, self._written = fps, 0
        self._last: Image = np.zeros((0, 0, 3), np.uint8)
        for code, self.codec in (("avc1", "H.264"), ("mp4v", "MPEG-4"))[path.suffix.lower() != ".mp4" :]:
            self._writer = cv2.VideoWriter(native_path(path), cv2.VideoWriter.fourcc(*code), self._fps, size)
            if self._writer.isOpened():
                return
        raise InputError(f"cannot write video {path}; is the folder writable and the disk not full?")

    def write(self, image: Image, time_s: float) -> None:
        place = round(time_s * self._fps)
        while self._written < place:
            self._append(self._last)
        if place == self._written:
            self._append(image)
        self._last = image

    def _append(self, image: Image) -> None:
        self._written += 1  # first: what Ctrl-C breaks off between the two is missing, and not there twice
        self._writer.write(image)

    def close(self) -> None:
        self._writer.release()


class _AvEncoder(Encoder):
    """Every image at its own time."""

    def __init__(self, av: Any, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._av, self._path = av, path
        name, self.codec, options = next(c for c in _AV_CODECS if c[0] in av.codecs_available)
        self._width, self._height = (max(n & ~1, 2) for n in size)  # colours are stored for pairs of pixels
        self._ticks, self._period, self._broken = -1, max(round(_TICKS / fps), 1), False
        try:
            self._file = av.open(native_path(path), "w", options={"movflags": "+faststart"})
        except OSError as error:
            raise self._refused(error) from error
        self._stream = self._file.add_stream(name, rate=Fraction(fps).limit_denominator(1001), options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = self._width, self._height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.codec_context.colorspace, self._stream.codec_context.color_range = _BT601, _LIMITED
        self._stream.codec_context.gop_size = max(round(_KEY_S * fps), 1)

    def write(self, image: Image, time_s: float) -> None:
        image = np.ascontiguousarray(image[: self._height, : self._width])
        frame = self._av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
        self._ticks = max(round(time_s * _TICKS), self._ticks + 1)
        frame.pts, frame.duration, frame.time_base = self._ticks, self._period, Fraction(1, _TICKS)
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._file.mux(packet)
        except OSError as error:
            self._broken = True
            raise self._refused(error) from error

    def close(self) -> None:
        if self._broken:  # FFmpeg ends the process where more is written to a file that could not be begun
            return
        self._mux(None)
        try:
            self._file.close()
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write video {self._path}: {error.strerror}; is the folder writable and the disk not full?"
        )


def writable_fps(fps: float) -> float:
    """The rate with as many decimals as MPEG-4's time base can hold: 119.873 would be refused, 119.87 is not."""
    decimals = max(d for d in range(4) if d == 0 or fps * 10**d <= _MAX_TIMEBASE)
    return round(fps, decimals)
