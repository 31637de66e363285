"""Frames from video files, images, folders and cameras, and the writer of overlay videos."""

from __future__ import annotations

import logging
import re
import time
import urllib.parse
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import fit_camera
from hmr_ros.io.encoders import Encoder, open_encoder, writable_fps
from hmr_ros.io.encodings import MAX_PIXELS, check_size, quiet_opencv, to_8_bits, uncompressed
from hmr_ros.io.native_paths import native_path
from hmr_ros.types import Camera, Frame, Image

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
_FOLDER_FPS = 30.0
_RETRIES = 3  # a camera may miss a frame
_CAMERA_INDEX = re.compile(r"\d{1,4}")
_MIN_FPS, _MAX_FPS = 0.1, 1000.0
_LONGEST_GAP_S = 10.0  # that a video shows of a source that stands still
_STREAMS = {"http": False, "https": False, "rtsp": True, "rtsps": True, "rtmp": True, "udp": True, "srt": True}  # live
_log = logging.getLogger(__name__)


class FrameSource:
    """Iterable of frames with what is known beforehand; `truncated` is set when the stream broke early."""

    fps: float
    count: int | None  # frames, None = not known
    width: int
    height: int
    is_live = False
    is_image = False
    camera: Camera

    def __init__(self) -> None:
        self.truncated = False
        self.skipped = 0  # images that could not be read

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def counted(self) -> int | None:
        """How many frames an iteration gives, where containers may be wrong by one or two; None = not known."""
        return self.count

    def close(self) -> None:
        """Release the device or file."""


def open_source(source: str, camera: Camera | None, max_pixels: int = MAX_PIXELS) -> FrameSource:
    """Open a video, image, folder of images, camera (index or device) or stream (URL); InputError says what is wrong.

    Without `camera` the focal length is guessed from the image's size. Images of more than `max_pixels` are refused
    before they are decoded.
    """
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in _STREAMS:
        return _CaptureSource(source, camera, max_pixels, live=_STREAMS[scheme])
    if scheme == "file":
        source = urllib.parse.unquote(urllib.parse.urlparse(source).path)
    elif scheme and not Path(source).exists():
        raise InputError(f"cannot read a source of '{scheme}://'; give a path, or one of {', '.join(_STREAMS)}, file")
    path = Path(source)
    if _CAMERA_INDEX.fullmatch(source) or source.startswith(("/dev/video", "/dev/v4l/")):
        return _CaptureSource(source, camera, max_pixels, live=True)
    try:
        is_folder, exists = bool(source) and path.is_dir(), bool(source) and path.exists()
        images = _images_in(path) if is_folder else []
        is_device = exists and path.is_char_device()
    except OSError as error:
        raise InputError(
            f"cannot read source '{source[:200]}': {error.strerror}; check path and permissions"
        ) from error
    if is_folder:
        return _ImageSource(images, camera, max_pixels, is_image=False)
    if not exists:
        raise InputError(f"source '{source}' does not exist; give a video, an image, a folder of images or a camera")
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return _ImageSource([path], camera, max_pixels, is_image=True)
    return _CaptureSource(source, camera, max_pixels, live=is_device)


def open_images(paths: list[Path], camera: Camera | None, fps: float, max_pixels: int = MAX_PIXELS) -> FrameSource:
    """Open images that are not all there is in their folders, in this order, as frames at `fps`; InputError."""
    return _ImageSource(paths, camera, max_pixels, is_image=False, fps=fps)


class _ImageSource(FrameSource):
    """Images that cannot be read are left out, each with a warning; their time and number stay empty."""

    def __init__(
        self, paths: list[Path], camera: Camera | None, max_pixels: int, *, is_image: bool, fps: float = _FOLDER_FPS
    ) -> None:
        super().__init__()
        self._paths, self._max_pixels = paths, max_pixels
        self._problem = ""  # of the first image that could not be read
        self.fps, self.count, self.is_image = fps, len(paths), is_image
        _, first = next(self._images(), (0, None))
        if first is None:
            several = f"cannot read image {paths[0]} or any other there: " * (len(paths) > 1)
            raise InputError(several + self._problem)
        self.height, self.width = first.shape[:2]
        self.camera = fit_camera(camera, self.width, self.height)

    def __iter__(self) -> Iterator[Frame]:
        self.skipped = 0
        for i, image in self._images(warn=True):
            camera = self.camera
            if image.shape[:2] != (self.height, self.width):
                camera = fit_camera(None if camera.guessed else camera, image.shape[1], image.shape[0])
            yield Frame(i, round(i * 1e9 / self.fps), image, camera)

    def _images(self, warn: bool = False) -> Iterator[tuple[int, Image]]:
        for i, path in enumerate(self._paths):
            try:
                yield i, _read_image(path, self._max_pixels)
            except InputError as error:
                self.skipped += 1
                self._problem = self._problem or str(error)
                if warn:
                    _log.warning("image left out: %s", error)


class _CaptureSource(FrameSource):
    def __init__(self, source: str, camera: Camera | None, max_pixels: int, *, live: bool) -> None:
        super().__init__()
        quiet_opencv()
        self._source, self._max_pixels, self.is_live = source, max_pixels, live
        self._wall_ns = time.time_ns() - time.monotonic_ns()  # live stamps are wall time that never steps back
        first = self._open()
        self._first: Image | None = None if live else first  # a live image would be old when it is asked for
        self.height, self.width = first.shape[:2]
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps < _MAX_FPS else _FOLDER_FPS
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not live else None
        self.camera = fit_camera(camera, self.width, self.height)

    def __iter__(self) -> Iterator[Frame]:
        image = self._first
        if image is None:  # live, or a file that was read before: from the start again
            image = self._read() if self.is_live else self._open()
        self._first = None
        index, last_ns = 0, -1
        while image is not None:
            now_ns = self._wall_ns + time.monotonic_ns() if self.is_live else self._position_ns(index)
            stamp_ns = max(now_ns, last_ns + 1)
            yield Frame(index, stamp_ns, image, self.camera)
            index, last_ns = index + 1, stamp_ns
            image = self._read()
        # a camera ends only when it breaks; containers count a frame more or less than they hold, a break is larger
        self.truncated = self.is_live or (self.count is not None and index < 0.98 * self.count - 1)

    def counted(self) -> int | None:
        """Frames of a file, by decoding it once; the next iteration starts anew."""
        if self.is_live:
            return None
        self._open()
        self._first, count = None, 1
        while self._capture.grab():
            count += 1
        return count

    def _open(self) -> Image:
        """Open the stream at its start; its first image."""
        device = _CAMERA_INDEX.fullmatch(self._source)
        name = self._source if "://" in self._source else native_path(self._source)
        if name.startswith("/dev/v4l/"):
            name = str(Path(name).resolve())  # a link that keeps its name when cameras are plugged in another order
        self._capture = cv2.VideoCapture(int(self._source) if device else name)
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(int(width), int(height), self._max_pixels)
        first = self._read() if self._capture.isOpened() else None
        if first is None:
            hint = "check that it is connected and not in use" if self.is_live else "is it a video, and complete?"
            if "://" in self._source:
                hint = "is the address right, and does the stream run?"
            raise InputError(f"no image can be read from '{without_password(self._source)}'; {hint}")
        return first

    def _position_ns(self, index: int) -> int:
        milliseconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return round(milliseconds * 1e6) if milliseconds > 0 else round(index * 1e9 / self.fps)

    def _read(self) -> Image | None:
        for _ in range(_RETRIES if self.is_live else 1):
            try:
                ok, image = self._capture.read()
            except cv2.error:
                return None
            if ok and image is not None:
                return np.asarray(image, np.uint8)
        return None

    def close(self) -> None:
        self._capture.release()


class VideoWriter:
    """Video file, sized by its first image: what OpenCV writes fastest, or what browsers play (`io/encoders.py`)."""

    def __init__(self, path: Path, fps: float, *, for_browsers: bool = False) -> None:
        if not _MIN_FPS <= fps <= _MAX_FPS:
            raise InputError(
                f"cannot write a video at {fps} frames per second; give a rate from {_MIN_FPS} to {_MAX_FPS:.0f}"
            )
        self._path, self._fps, self._for_browsers = path, writable_fps(fps), for_browsers
        self._encoder: Encoder | None = None
        self._size = (0, 0)
        self._first_ns, self._written, self._last_s = 0, 0, 0.0
        self.conversion = ""  # what makes it play in browsers, in words; empty: it does

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write_at(self, image: Image, stamp_ns: int) -> None:
        """Append an image at its time, for sources whose rate varies: the one before it is shown until then."""
        if not self._written:
            self._first_ns = stamp_ns
        time_s = (stamp_ns - self._first_ns) * 1e-9
        gap = time_s - self._last_s
        if gap > _LONGEST_GAP_S or gap * self._fps < -0.5:  # a jump of the clock
            time_s = self._last_s + 1 / self._fps
            self._first_ns = stamp_ns - round(time_s * 1e9)
        self._append(image, max(time_s, self._last_s))

    def write(self, image: Image) -> None:
        """Append a BGR image [H,W,3] one frame after the last; images of another size are fitted to the first one's."""
        self._append(image, self._written / self._fps)

    def _append(self, image: Image, time_s: float) -> None:
        if self._encoder is None:
            self._size = (image.shape[1], image.shape[0])
            self._encoder = open_encoder(self._path, self._fps, self._size, for_browsers=self._for_browsers)
            if self._for_browsers and not self._encoder.in_browsers:
                self.conversion = (
                    f"{self._path.name} is {self._encoder.codec}, which browsers do not play: "
                    "pip install 'hmr_ros[video]' for H.264, or convert it: "
                    f"ffmpeg -i {self._path} -c:v libx264 -pix_fmt yuv420p -movflags +faststart web.mp4"
                )
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        self._written, self._last_s = self._written + 1, time_s
        self._encoder.write(image, time_s)

    def close(self) -> None:
        """Finish the file."""
        if self._encoder is not None:
            encoder, self._encoder = self._encoder, None
            encoder.close()


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files of `folder` with one of these suffixes (lower case) in natural order: frame2 before frame10. OSError."""

    def natural(path: Path) -> list[tuple[int, int, str]]:
        return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in re.split(r"(\d+)", path.name)]

    return sorted((p for p in folder.iterdir() if p.suffix.lower() in suffixes), key=natural)


def _images_in(folder: Path) -> list[Path]:
    found = files_in(folder, _IMAGE_SUFFIXES)
    if not found:
        raise InputError(f"folder {folder} holds no images ({', '.join(sorted(_IMAGE_SUFFIXES))})")
    return found


def _read_image(path: Path, max_pixels: int) -> Image:
    """Read by us, for OpenCV takes no names but UTF-8, and decodes what declares more pixels than memory holds."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"cannot read image {path}: {error.strerror}") from error
    try:
        image = uncompressed(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, max_pixels)
        if image is not None and image.dtype.kind == "f":
            image = uncompressed(content, cv2.IMREAD_COLOR, max_pixels)
    except InputError as error:
        raise InputError(f"cannot read image {path}: {error}") from error
    if image is None:
        raise InputError(f"cannot read image {path}; is the file complete?")
    return np.asarray(to_8_bits(image) if image.dtype == np.uint16 else image, np.uint8)


def save_image(path: Path, image: Image) -> None:
    """Write a BGR image [H,W,3] as the kind that its suffix names; InputError."""
    try:
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; check folder and disk space") from error


def without_password(source: str) -> str:
    """A URL without the user and password in it, as it may be shown and stored."""
    return re.sub(r"(?<=://)[^/@]+@", "", source)
