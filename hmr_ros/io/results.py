"""humans.npz, truth.npz and motion files: written whole or not at all, read without trusting them."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.types import Floats, Human, Ints

# name -> (shape of one row, dtype)
_ROWS: dict[str, tuple[tuple[int, ...], Any]] = {
    "frame": ((), np.int64), "stamp_ns": ((), np.int64), "track_id": ((), np.int64), "score": ((), np.float64),
    "boxes_xyxy": ((4,), np.float64), "keypoints_2d": ((33, 3), np.float64), "global_orient": ((3,), np.float64),
    "body_pose": ((69,), np.float64), "betas": ((10,), np.float64), "transl": ((3,), np.float64),
    "joints": ((24, 3), np.float64), "joints_2d": ((24, 2), np.float64), "joint_sigma": ((24,), np.float64),
    "state": ((), np.int64),
}  # fmt: skip
_FILE_NAMES = {"state": "tracking_state"}
_REQUIRED = ("frame", "stamp_ns", "track_id", "global_orient", "body_pose", "betas", "transl", "joints", "joints_2d")


class ResultRecorder:
    """Collects people frame by frame and writes humans.npz."""

    def __init__(self) -> None:
        self._humans: list[Human] = []

    def add(self, humans: list[Human]) -> None:
        """Append the people of one frame."""
        self._humans += humans

    def save(self, path: Path, K: Floats, body_model: str) -> None:
        """Write all rows; with nobody found the arrays are empty and keep their shapes."""
        arrays: dict[str, Any] = {}
        for name, (shape, dtype) in _ROWS.items():
            values = [getattr(h, name) for h in self._humans]
            arrays[_FILE_NAMES.get(name, name)] = np.array(values, dtype).reshape(len(values), *shape)
        save_arrays(path, K=np.asarray(K, np.float64), body_model=np.array(body_model), **arrays)


@dataclass(frozen=True)
class HumansTable:
    """Arrays of a humans.npz or truth.npz, one row a person and frame."""

    frame: Ints  # [N]
    stamp_ns: Ints  # [N]
    track_id: Ints  # [N]
    global_orient: Floats  # [N,3] rad
    body_pose: Floats  # [N,69] rad
    betas: Floats  # [N,10]
    transl: Floats  # [N,3] m
    joints: Floats  # [N,24,3] m
    joints_2d: Floats  # [N,24,2] px
    K: Floats  # [3,3] px
    body_model: str
    keypoints_2d: Floats | None = None  # [N,33,3]
    score: Floats | None = None  # [N]
    boxes_xyxy: Floats | None = None  # [N,4] px
    joint_sigma: Floats | None = None  # [N,24] m
    vertices: Floats | None = None  # [N,V,3] m


@dataclass(frozen=True)
class Motion:
    """SMPL motion in a y-up world."""

    poses: Floats  # [F,72] axis-angle rad
    trans: Floats  # [F,3] m
    betas: Floats  # [10]
    fps: float


def load_humans(path: Path) -> HumansTable:
    """Read humans.npz or truth.npz; InputError names what is missing or not finite."""
    arrays = load_arrays(path)
    missing = [k for k in (*_REQUIRED, "K") if k not in arrays]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing)}; is it written by `hmr run` or `hmr render`?")
    values: dict[str, Any] = {}
    rows = len(arrays["frame"]) if arrays["frame"].ndim else -1
    for field in fields(HumansTable):
        if field.name not in arrays:
            continue
        value = arrays[field.name]
        if field.name in _ROWS and value.shape != (rows, *_ROWS[field.name][0]):
            raise InputError(f"{path}: {field.name} has shape {value.shape}, expected {(rows, *_ROWS[field.name][0])}")
        if field.name in ("joints", "global_orient", "body_pose", "transl") and not np.isfinite(value).all():
            raise InputError(f"{path}: {field.name} holds NaN or infinite values; the file is damaged")
        values[field.name] = value
    values["body_model"] = str(arrays.get("body_model", "unknown"))
    return HumansTable(**values)


def load_motion(path: Path, fps: float = 30.0) -> Motion:
    """Read SMPL motion: poses [F,72], trans [F,3], optional betas [10 or more] and fps."""
    arrays = load_arrays(path)
    if "poses" not in arrays or "trans" not in arrays:
        raise InputError(f"{path} has no poses and trans; a motion file needs poses [F,72] and trans [F,3]")
    poses, trans = (np.asarray(arrays[k], np.float64) for k in ("poses", "trans"))
    if poses.ndim != 2 or poses.shape[1] < 72 or trans.shape != (len(poses), 3) or not len(poses):
        raise InputError(f"{path}: poses {poses.shape}, trans {trans.shape}; expected [F,72] and [F,3]")
    if not np.isfinite(poses).all() or not np.isfinite(trans).all():
        raise InputError(f"{path}: poses or trans hold NaN; mask those frames first")
    betas = np.zeros(10)
    given = np.asarray(arrays.get("betas", betas), np.float64).reshape(-1)[:10]
    betas[: len(given)] = given
    return Motion(poses[:, :72], trans, betas, float(arrays.get("fps", fps)))


def load_arrays(path: Path) -> dict[str, Any]:
    """All arrays of an .npz, never unpickling anything."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {k: archive[k] for k in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a complete .npz of arrays"
        raise InputError(f"cannot read {path}: {reason}") from error


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write a compressed .npz atomically: a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez_compressed(partial, **arrays)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; check folder and disk space") from error
