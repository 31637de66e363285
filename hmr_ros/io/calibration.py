"""Intrinsics from the command line, a calibration file or a CameraInfo message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import check_intrinsics, scaled_camera, window_intrinsics
from hmr_ros.geometry.plausibility import check_camera
from hmr_ros.types import Camera, Floats
from hmr_ros.yaml_files import load_yaml

_HOW = "give fx,fy,cx,cy or a camera_info YAML file"
_FISHEYE = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
_PINHOLE = ("plumb_bob", "rational_polynomial", "brown_conrady", "radtan", "none", "")  # cameras without leave it empty
_MODELS = ("plumb_bob", "rational_polynomial", "equidistant", "fisheye")  # those that are named to the user
_TRANSPORTS = ("compressed", "compressedDepth", "theora", "zstd", "ffmpeg")
_ORTHONORMAL = 1e-2
_COUNTS = (4, 5, 8, 12, 14)  # coefficients that OpenCV's pinhole models can have; the fisheye model has 4


def read_camera(text: str) -> Camera:
    """Camera from `fx,fy,cx,cy` (px) or the path of a YAML file: ROS camera_info, or plain with K (and D).

    Width and height are 0 where the source does not say them.
    """
    try:
        if "," in text and not Path(text).exists():
            return _from_numbers(text)
        tree = load_yaml(text)
    except OSError as error:
        raise InputError(f"cannot read camera '{text[:200]}': {error.strerror}; {_HOW}") from error
    except ValueError as error:
        raise InputError(f"camera file {text} is not valid YAML; {_HOW}") from error
    if not isinstance(tree, dict):
        raise InputError(f"camera file {text} holds no calibration; {_HOW}")
    return _from_tree(tree, text)


def camera_of_arrays(K: Any, distortion: Any = None, fisheye: bool = False) -> Camera:
    """Camera of K [3,3] px and distortion in OpenCV's order (`fisheye`: the four equidistant terms); InputError where
    they cannot be used. Width and height are 0."""
    K = check_intrinsics(np.asarray(K, np.float64))
    return Camera(K, 0, 0, _coefficients(distortion, "fisheye" if fisheye else "plumb_bob"), fisheye)


def extrinsics_of(tree: dict[str, Any], whose: str) -> tuple[Floats, Floats] | None:
    """`R` [3,3] and `t` [3] m of a calibration file's entry, x_camera = R x_world + t; None where it has none of both.

    InputError, which begins with `whose`, where they are no rigid transform.
    """
    R, t = _finite(tree, "R", 9, whose), _finite(tree, "t", 3, whose)
    if R is None and t is None:
        return None
    if R is None or t is None:
        raise InputError(f"{whose} has {'t' if R is None else 'R'} alone; give R and t, or none of both")
    R = R.reshape(3, 3)
    if np.abs(R @ R.T - np.eye(3)).max() > _ORTHONORMAL or np.linalg.det(R) < 0:
        raise InputError(f"{whose}: R is not a rotation; x_camera = R x_world + t is expected")
    return R, t


def _finite(tree: dict[str, Any], key: str, count: int, whose: str) -> Floats | None:
    if tree.get(key) is None:
        return None
    try:
        values = np.asarray(tree[key], np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{whose}: {key} is not {count} finite numbers")
    return values


def _from_numbers(text: str) -> Camera:
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"camera '{text}' is not four numbers; {_HOW}") from error
    return Camera(_intrinsics(np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1]), text), 0, 0)


def _from_tree(tree: dict[str, Any], name: str) -> Camera:
    K = _numbers(tree, ("camera_matrix", "K", "k"))
    if K is None or K.size != 9:
        raise InputError(f"camera file {name} has no camera_matrix (or K) of nine numbers; {_HOW}")
    model = str(tree.get("distortion_model") or "plumb_bob")
    D = next((tree[key] for key in ("distortion_coefficients", "D", "d") if tree.get(key) is not None), None)
    try:
        distortion = _coefficients(D.get("data") if isinstance(D, dict) else D, model)
    except InputError as error:
        raise InputError(f"camera file {name}: {error}") from error
    return Camera(
        _intrinsics(K, name), _size(tree, "image_width", name), _size(tree, "image_height", name),
        distortion=distortion, fisheye=model.lower() in _FISHEYE,
    )  # fmt: skip


def _intrinsics(K: Floats, name: str) -> Floats:
    try:
        return check_intrinsics(K.reshape(3, 3))
    except InputError as error:
        raise InputError(f"camera '{name}': {' '.join(str(error).split())}") from error


def _coefficients(values: Any, model: str) -> Floats | None:
    """Distortion as OpenCV takes it: coefficients that are left out are zero. None where there is none.

    InputError where the model is not known, where there are more than it has, or they are not finite numbers.
    """
    try:
        D = np.zeros(0) if values is None else np.asarray(values, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError("distortion is not a list of numbers") from error
    if not np.isfinite(D).all():
        raise InputError(f"distortion {D.tolist()} holds numbers that are not finite")
    known = model.lower() in (*_FISHEYE, *_PINHOLE)
    if not known and (D.any() or values is None):
        raise InputError(f"distortion_model '{model}' is not one of {', '.join(_MODELS)}")
    if not D.any():
        return None
    if model.lower() in _FISHEYE:
        D = D[:4] if D.size == 5 else D  # drivers that pad all models to plumb_bob's five
        counts: tuple[int, ...] = (4,)
    else:
        counts = _COUNTS
    length = next((count for count in counts if count >= D.size), None)
    if length is None:
        raise InputError(f"distortion has {D.size} coefficients, {model or 'plumb_bob'} has at most {counts[-1]}")
    return np.pad(D, (0, length - D.size))


def _size(tree: dict[str, Any], key: str, name: str) -> int:
    """Width or height px; 0 where the file does not say it."""
    value = tree.get(key) or 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"camera file {name}: {key} is {value!r}, expected a number of pixels")
    return value


def _numbers(tree: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in tree:
            value = tree[name].get("data") if isinstance(tree[name], dict) else tree[name]
            try:
                return np.asarray(value, dtype=np.float64).reshape(-1)
            except (TypeError, ValueError):
                return None
    return None


def camera_of_info(info: Any, rectified: bool, width: int, height: int) -> Camera:
    """Camera of an image of this size px, of the CameraInfo that came with it (rclpy, rosbags; ROS 1 or 2).

    A rectified image has no distortion and the intrinsics P. K and P belong to the full sensor: window (ROI) and
    binning are applied, then the scale of an image that was resized. InputError where the camera is not calibrated or
    the calibration is another image's.
    """
    K, distortion, fisheye = _matrix(info, "k", 3), None, False
    if rectified:
        P = _matrix(info, "p", 4)[:, :3]
        K = P if _is_intrinsics(P) else K  # without P those of the raw image are near
    if not _is_intrinsics(K):
        raise InputError("CameraInfo has a zero or invalid matrix; calibrate the camera")
    if not rectified:
        D = _field(info, "d")
        fisheye = info.distortion_model.lower() in _FISHEYE
        distortion = _coefficients(D, info.distortion_model) if np.isfinite(D).all() else None
    full = (info.width, info.height) if info.width and info.height else (width, height)
    try:
        check_camera(Camera(K, full[0], full[1], distortion, fisheye))
    except InputError as error:
        raise InputError(f"CameraInfo: {error}") from error
    if full == (width, height):
        return Camera(K, width, height, distortion, fisheye)  # the whole sensor, whatever window the driver names
    roi, binning = info.roi, (max(1, info.binning_x), max(1, info.binning_y))
    K = window_intrinsics(K, (roi.x_offset, roi.y_offset), binning)
    window = (roi.width or full[0]) // binning[0], (roi.height or full[1]) // binning[1]
    return scaled_camera(Camera(K, max(1, window[0]), max(1, window[1]), distortion, fisheye), width, height)


def _field(info: Any, name: str) -> Floats:
    """A field that ROS 1 writes in capitals."""
    return np.asarray(getattr(info, name) if hasattr(info, name) else getattr(info, name.upper()), np.float64)


def _matrix(info: Any, name: str, columns: int) -> Floats:
    return _field(info, name).reshape(3, columns)


def _is_intrinsics(K: Floats) -> bool:
    return bool(np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0)


def is_rectified(topic: str, setting: str) -> bool:
    """Whether the images of `topic` are rectified. `setting` is input.rectified: auto goes by the name, image_rect*."""
    return _parts(topic)[-1].startswith("image_rect") if setting == "auto" else setting == "always"


def info_topic(topic: str) -> str:
    """The topic of the intrinsics that belong to an image topic: camera_info beside it, or as the RealSense viewer
    writes them, info/camera_info beside image/data."""
    *before, last = _parts(topic)
    if before[-1:] == ["image"] and last == "data":
        return "/".join([*before[:-1], "info", "camera_info"])
    return "/".join([*before, "camera_info"])


def _parts(topic: str) -> list[str]:
    """Namespaces and name of an image topic, without the transport that follows them (/compressed)."""
    parts = topic.split("/")
    return parts[:-1] if parts[-1] in _TRANSPORTS else parts
