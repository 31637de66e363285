"""Intrinsics from the command line or from a calibration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import check_intrinsics
from hmr_ros.types import Camera, Floats

_HOW = "give fx,fy,cx,cy or a camera_info YAML file"
_FISHEYE = ("equidistant", "fisheye")
_MODELS = ("plumb_bob", "rational_polynomial", *_FISHEYE)
_COUNTS = (4, 5, 8, 12, 14)  # coefficients that OpenCV's pinhole models can have; the fisheye model has 4


def read_camera(text: str) -> Camera:
    """Camera from `fx,fy,cx,cy` (px) or the path of a YAML file: ROS camera_info, or plain with K (and D).

    Width and height are 0 where the source does not say them.
    """
    try:
        if "," in text and not Path(text).exists():
            return _from_numbers(text)
        tree = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read camera '{text[:200]}': {error.strerror}; {_HOW}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"camera file {text} is not valid YAML; {_HOW}") from error
    if not isinstance(tree, dict):
        raise InputError(f"camera file {text} holds no calibration; {_HOW}")
    return _from_tree(tree, text)


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
    model = str(tree.get("distortion_model") or "plumb_bob")  # cameras without distortion leave it empty
    if model not in _MODELS:
        raise InputError(f"camera file {name}: distortion_model '{model}' is not one of {', '.join(_MODELS)}")
    fisheye = model in _FISHEYE
    return Camera(
        _intrinsics(K, name), _size(tree, "image_width", name), _size(tree, "image_height", name),
        distortion=_distortion(tree, fisheye, name), fisheye=fisheye,
    )  # fmt: skip


def _intrinsics(K: Floats, name: str) -> Floats:
    try:
        return check_intrinsics(K.reshape(3, 3))
    except InputError as error:
        raise InputError(f"camera '{name}': {' '.join(str(error).split())}") from error


def _distortion(tree: dict[str, Any], fisheye: bool, name: str) -> Floats | None:
    keys = [key for key in ("distortion_coefficients", "D", "d") if tree.get(key) is not None]
    if not keys:
        return None
    D = _numbers(tree, tuple(keys))
    if D is not None and not D.size:
        return None
    counts = (4,) if fisheye else _COUNTS
    if D is None or D.size not in counts or not np.isfinite(D).all():
        raise InputError(f"camera file {name}: {keys[0]} must be {' or '.join(map(str, counts))} numbers")
    return np.asarray(D)


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


def camera_of_info(K: Floats, D: Floats, width: int, height: int, model: str) -> Camera | None:
    """Camera of a CameraInfo message's fields, or None where its matrix is zero or not finite (not calibrated)."""
    K, D = np.asarray(K, np.float64).reshape(3, 3), np.asarray(D, np.float64)
    if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        return None
    distortion = D if D.size and np.isfinite(D).all() and D.any() else None
    return Camera(K, int(width), int(height), distortion, model in ("equidistant", "fisheye"))
