"""Intrinsics from the command line or from a calibration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import check_intrinsics
from hmr_ros.types import Camera

_HOW = "give fx,fy,cx,cy or a camera_info YAML file"


def read_camera(text: str) -> Camera:
    """Camera from `fx,fy,cx,cy` (px) or the path of a YAML file: ROS camera_info, or plain with K (and D).

    Width and height are 0 where the source does not say them.
    """
    if not Path(text).exists() and "," in text:
        return _from_numbers(text)
    try:
        tree = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read camera '{text}': {error.strerror}; {_HOW}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"camera file {text} is not valid YAML; {_HOW}") from error
    if not isinstance(tree, dict):
        raise InputError(f"camera file {text} holds no calibration; {_HOW}")
    return _from_tree(tree, text)


def _from_numbers(text: str) -> Camera:
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"camera '{text}' is not four numbers; {_HOW}") from error
    return Camera(check_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])), 0, 0)


def _from_tree(tree: dict[str, Any], name: str) -> Camera:
    K = _numbers(tree, ("camera_matrix", "K", "k"))
    if K is None or K.size != 9:
        raise InputError(f"camera file {name} has no camera_matrix (or K) of nine numbers; {_HOW}")
    D = _numbers(tree, ("distortion_coefficients", "D", "d"))
    model = str(tree.get("distortion_model", "plumb_bob"))
    known = ("plumb_bob", "rational_polynomial", "equidistant", "fisheye")
    if model not in known:
        raise InputError(f"camera file {name}: distortion_model '{model}' is not one of {', '.join(known)}")
    return Camera(
        check_intrinsics(K.reshape(3, 3)), int(tree.get("image_width", 0)), int(tree.get("image_height", 0)),
        distortion=D if D is not None and D.size else None, fisheye=model in ("equidistant", "fisheye"),
    )  # fmt: skip


def _numbers(tree: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in tree:
            value = tree[name].get("data") if isinstance(tree[name], dict) else tree[name]
            try:
                return np.asarray(value, dtype=np.float64).reshape(-1)
            except (TypeError, ValueError):
                return None
    return None
