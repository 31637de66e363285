"""Depth images of files: 16 bit millimetres or floating-point metres in, float32 metres out, one for each frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.io.encodings import quiet_opencv, uncompressed
from hmr_ros.io.native_paths import native_path
from hmr_ros.io.video import FrameSource, files_in
from hmr_ros.types import Floats, Frame

_SUFFIXES = (".png", ".npy")
_FAR_M = 200.0  # no depth camera sees this far: such numbers are millimetres
_REGISTER = "register it to the colour image, e.g. align_depth.enable:=true for RealSense"


def depth_in_metres(raw: Any, name: str = "depth image") -> Floats:
    """[H,W] uint16 millimetres (0 = unknown) or floating-point metres (NaN, inf, 0 and less = unknown) -> [H,W] float32
    metres, NaN where unknown. InputError calls anything else by `name`."""
    if not isinstance(raw, np.ndarray) or raw.ndim != 2 or not (raw.dtype == np.uint16 or raw.dtype.kind == "f"):
        kind = f"{raw.dtype} {list(raw.shape)}" if isinstance(raw, np.ndarray) else type(raw).__name__
        raise InputError(f"{name} is {kind}; give [H,W] as 16 bit millimetres (uint16) or floating-point metres")
    if raw.dtype == np.uint16:
        metres = raw * np.float32(1e-3)
        metres[raw == 0] = np.nan
        return metres
    metres = raw.astype(np.float32)
    metres[~((metres > 0) & (metres < np.inf))] = np.nan  # a comparison with NaN is false
    sample = metres[::8, ::8]  # a median of all would cost more than the rest
    sample = sample[np.isfinite(sample)]
    if sample.size and np.median(sample) > _FAR_M:
        raise InputError(f"{name} has a median of {np.median(sample):.0f} m; give metres, or millimetres as uint16")
    return metres


def registered(depth: Floats, width: int, height: int, name: str) -> Floats:
    """The same depth [H,W]; InputError where it has not the size px of the colour image."""
    if depth.shape != (height, width):
        raise InputError(
            f"{name} is {depth.shape[1]}x{depth.shape[0]}, the colour image is {width}x{height}; {_REGISTER}"
        )
    return depth


def with_depth(frames: Iterable[Frame], depths: Iterable[Floats]) -> Iterator[Frame]:
    """`frames`, each with the next of `depths` [H,W] m. InputError where one of both ends before the other, or a size
    differs."""
    following, place = iter(depths), 0
    for frame in frames:
        depth = next(following, None)
        while depth is not None and place < frame.index:  # images that could not be read have depth all the same
            depth, place = next(following, None), place + 1
        place += 1
        if depth is None:
            raise InputError(f"depth ends after {frame.index} frames; give one depth image for each frame")
        height, width = frame.image.shape[:2]
        yield replace(frame, depth=registered(depth, width, height, f"depth image {frame.index}"))
    if next(following, None) is not None and not getattr(frames, "skipped", 0):
        raise InputError("depth goes on after the last frame; give one depth image for each frame")


class DepthSource:
    """Iterable of depth images [H,W] m, from the start each time."""

    def __init__(self, name: str, count: int | None) -> None:
        """`name` for messages; `count` of images, None = not known beforehand."""
        self.name, self.count = name, count

    def __iter__(self) -> Iterator[Floats]:
        raise NotImplementedError

    def check_count(self, frames: int | None) -> None:
        """InputError where there is not one depth image for each of so many frames; None = not known."""
        if None not in (frames, self.count) and frames != self.count:
            raise InputError(f"{self.name} has {self.count} depth images for {frames} frames; give one for each frame")


def open_depth(source: str | Path | Iterable[Any]) -> DepthSource:
    """Open a folder of .png or .npy in natural order, one such file, a lossless 16 bit grey video (FFV1), or arrays.

    All hold what `depth_in_metres` takes; InputError says what is wrong.
    """
    if not isinstance(source, (str, Path)):
        return _DepthArrays(source)
    path = Path(source)
    try:
        if path.is_dir():
            files = files_in(path, _SUFFIXES)
            if not files:
                raise InputError(
                    f"folder {path} holds no depth images ({', '.join(_SUFFIXES)}); give the one that does"
                )
            return _DepthFiles(str(path), files)
        if not path.exists():
            raise InputError(f"depth '{path}' does not exist; give a folder of .png or .npy files or a 16 bit video")
    except OSError as error:
        raise InputError(f"cannot read depth '{path}': {error.strerror}; check path and permissions") from error
    return _DepthFiles(str(path), [path]) if path.suffix.lower() in _SUFFIXES else _DepthVideo(str(path))


class FramesWithDepth(FrameSource):
    """A source of frames and their depth as one source. Numbers and sizes are compared before the first frame."""

    def __init__(self, frames: FrameSource, depths: DepthSource) -> None:
        """InputError where there is not one depth image for each frame, or the first is not of the image's size."""
        if frames.is_live:
            raise InputError("depth files belong to a recording, not to a live camera; give a video or images")
        count = frames.counted()
        depths.check_count(count)
        self._frames, self._depths = frames, depths
        self.fps, self.count, self.is_image = frames.fps, count, frames.is_image
        self.width, self.height, self.camera = frames.width, frames.height, frames.camera
        super().__init__()
        if depths.count:  # an iterator's first would be lost
            registered(next(iter(depths)), frames.width, frames.height, f"depth image 0 of {depths.name}")

    def __iter__(self) -> Iterator[Frame]:
        yield from with_depth(self._frames, self._depths)
        self.truncated, self.skipped = self._frames.truncated, self._frames.skipped

    def close(self) -> None:
        """Release the file of the frames."""
        self._frames.close()


class _DepthArrays(DepthSource):
    def __init__(self, arrays: Iterable[Any]) -> None:
        super().__init__("depth", len(arrays) if isinstance(arrays, Sized) else None)
        self._arrays = arrays

    def __iter__(self) -> Iterator[Floats]:
        yield from (depth_in_metres(raw, f"depth image {i}") for i, raw in enumerate(self._arrays))


class _DepthFiles(DepthSource):
    def __init__(self, name: str, files: list[Path]) -> None:
        super().__init__(name, len(files))
        self._files = files

    def __iter__(self) -> Iterator[Floats]:
        yield from (_read(file) for file in self._files)


def _read(file: Path) -> Floats:
    raw: Any
    try:
        if file.suffix.lower() == ".npy":
            raw = np.load(file, allow_pickle=False)
        else:
            raw = uncompressed(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise InputError(f"cannot read depth image {file}; is the file complete?") from error
    if raw is None:
        raise InputError(f"cannot read depth image {file}; is the file complete?")
    return depth_in_metres(raw, f"depth image {file}")


class _DepthVideo(DepthSource):
    """OpenCV gives 16 bit grey as it is stored when the conversion to BGR is switched off."""

    def __init__(self, name: str) -> None:
        capture, count = _opened(name), 0
        while capture.grab():
            count += 1
        if not count:
            raise InputError(f"no depth image can be read from '{name}'; is it a video, and complete?")
        super().__init__(name, count)

    def __iter__(self) -> Iterator[Floats]:
        capture = _opened(self.name)
        while True:
            ok, raw = capture.read()
            if not ok:
                return
            if raw.dtype != np.uint16 or raw.ndim != 2:
                raise InputError(f"depth video '{self.name}' is not 16 bit grey; write FFV1 with gray16le, or a folder")
            yield depth_in_metres(raw)


def _opened(name: str) -> cv2.VideoCapture:
    quiet_opencv()
    capture = cv2.VideoCapture(native_path(name), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    return capture
