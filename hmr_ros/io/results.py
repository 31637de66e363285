"""humans.npz, truth.npz and motion files: written whole or not at all, read without trusting them."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Bools, Floats, Human, Ints

# name -> (shape of one row, dtype)
_ROWS: dict[str, tuple[tuple[int, ...], Any]] = {
    "frame": ((), np.int64), "stamp_ns": ((), np.int64), "track_id": ((), np.int64), "score": ((), np.float64),
    "boxes_xyxy": ((4,), np.float64), "keypoints_2d": ((33, 3), np.float64), "global_orient": ((3,), np.float64),
    "body_pose": ((69,), np.float64), "betas": ((10,), np.float64), "transl": ((3,), np.float64),
    "joints": ((24, 3), np.float64), "joints_2d": ((24, 2), np.float64), "joint_sigma": ((24,), np.float64),
    "joint_covariance": ((24, 6), np.float64),
    "state": ((), np.int64), "scale": ((), np.int64),
}  # fmt: skip
# likewise, of `Human.world`; NaN and 0 where there is none
_WORLD = {
    "R_world_camera": (3, 3), "t_world_camera": (3,), "root_world": (3,), "root_velocity": (3,), "contacts": (4,),
    "gravity_sigma": (), "gravity_source": (),
}  # fmt: skip
_WORLD_NAMES = {"root_world": "root", "root_velocity": "velocity", "gravity_source": "source"}
_FILE_NAMES = {"state": "tracking_state", "scale": "scale_source"}
# the same for what a table may hold when it is read; -1 = any number
_TABLE = {_FILE_NAMES.get(name, name): row for name, row in _ROWS.items()} | {
    "K": ((3, 3), np.float64), "vertices": ((-1, 3), np.float64), "person": ((), np.int64),
    "visible": ((24,), np.bool_), "visible_share": ((), np.float64),
} | {name: (shape, np.int64 if name == "gravity_source" else np.float64) for name, shape in _WORLD.items()}  # fmt: skip
_FINITE = ("global_orient", "body_pose", "betas", "transl", "joints", "K")
# what a damaged archive makes zipfile, zlib and NumPy raise
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, MemoryError, zlib.error)
_MOST_BYTES = 2 << 30  # of an archive, unpacked: six hours of one person
_LEAST_FREE = 16 << 20  # bytes that a run needs at least
_AMASS_RATES = ("mocap_framerate", "mocap_frame_rate")
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from z up: x stays, z becomes y
_REST_PELVIS = np.array([-0.002, -0.223, 0.028])  # m, of the mean SMPL body
_REQUIRED = ("frame", "stamp_ns", "track_id", "global_orient", "body_pose", "betas", "transl", "joints", "joints_2d")


class ResultRecorder:
    """Collects people frame by frame and writes humans.npz."""

    def __init__(self, humans: list[Human] | None = None) -> None:
        self.humans: list[Human] = list(humans or [])

    def add(self, humans: list[Human]) -> None:
        """Append the people of one frame."""
        self.humans += humans

    def save(self, path: Path, K: Floats, body_model: str) -> None:
        """Write all rows; with nobody found the arrays are empty and keep their shapes."""
        arrays: dict[str, Any] = {}
        for name, (shape, dtype) in _ROWS.items():
            values = [getattr(h, name) for h in self.humans]
            arrays[_FILE_NAMES.get(name, name)] = np.array(values, dtype).reshape(len(values), *shape)
        arrays |= self._world()
        save_arrays(path, K=np.asarray(K, np.float64), body_model=np.array(body_model), **arrays)

    def _world(self) -> dict[str, Any]:
        """Columns of `_WORLD`."""
        arrays: dict[str, Any] = {name: np.full((len(self.humans), *shape), np.nan) for name, shape in _WORLD.items()}
        arrays["gravity_source"] = np.zeros(len(self.humans), np.int64)
        for row, human in enumerate(self.humans):
            for name in _WORLD if human.world is not None else ():
                arrays[name][row] = getattr(human.world, _WORLD_NAMES.get(name, name))
        return arrays

    def save_hypotheses(self, path: Path) -> None:
        """Write joints [rows,S,24,3] m, rotations [rows,S,24,3,3] and weights [rows,S] of everybody's hypotheses, rows
        as in humans.npz; without any, S is 0."""
        found = [h.hypotheses for h in self.humans if h.hypotheses is not None]
        count = len(found[0].weights) if found else 0
        shapes = {"joints": (count, 24, 3), "rotations": (count, 24, 3, 3), "weights": (count,)}
        arrays = {name: np.full((len(self.humans), *shape), np.nan, np.float32) for name, shape in shapes.items()}
        for row, human in enumerate(self.humans):
            for name in shapes if human.hypotheses is not None else ():
                arrays[name][row] = getattr(human.hypotheses, name)
        save_arrays(path, **arrays)


@dataclass(frozen=True)
class HypothesesTable:
    """Arrays of a hypotheses.npz, one row a person and frame, as in the humans.npz beside it."""

    joints: Floats  # [N,S,24,3] m, camera frame
    rotations: Floats  # [N,S,24,3,3] local
    weights: Floats  # [N,S] sum to one


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
    joint_covariance: Floats | None = None  # [N,24,6] m^2, as in `Human`
    tracking_state: Ints | None = None  # [N] values of TrackingState
    scale_source: Ints | None = None  # [N] values of ScaleSource
    R_world_camera: Floats | None = None  # [N,3,3] vectors of the optical frame -> world, z up; NaN: unknown, as below
    t_world_camera: Floats | None = None  # [N,3] m
    root_world: Floats | None = None  # [N,3] m, the pelvis joint
    root_velocity: Floats | None = None  # [N,3] m/s
    contacts: Floats | None = None  # [N,4] 0..1, left heel and ball, right heel and ball
    gravity_source: Ints | None = None  # [N] values of GravitySource
    gravity_sigma: Floats | None = None  # [N] rad
    vertices: Floats | None = None  # [N,V,3] m
    person: Ints | None = None  # [N] of a truth: who it is
    visible: Bools | None = None  # [N,24] of a truth: in the image and not behind another person
    visible_share: Floats | None = None  # [N] of a truth: of the whole silhouette


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
        if field.name != "body_model":
            values[field.name] = _checked(path, field.name, arrays[field.name], rows)
    name = arrays.get("body_model", np.array("unknown"))
    if name.size != 1:
        raise InputError(f"{path}: body_model names {name.size} bodies, expected one")
    return HumansTable(**values, body_model=str(name.item()))


def load_hypotheses(path: Path, rows: int) -> HypothesesTable:
    """Read hypotheses.npz with so many rows; InputError where it is another table's."""
    arrays = load_arrays(path)
    missing = [f.name for f in fields(HypothesesTable) if f.name not in arrays]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing)}; is it written by `hmr run --hypotheses`?")
    table = HypothesesTable(**{f.name: _numbers(path, f.name, arrays[f.name]) for f in fields(HypothesesTable)})
    count = table.weights.shape[-1] if table.weights.ndim == 2 else -1
    shapes = (table.joints.shape, table.rotations.shape, table.weights.shape)
    if shapes != ((rows, count, 24, 3), (rows, count, 24, 3, 3), (rows, count)):
        raise InputError(f"{path}: shapes {shapes} do not fit {rows} people; take the file beside their humans.npz")
    return table


def _checked(path: Path, name: str, value: Any, rows: int) -> Any:
    """The array `name` of a table with so many rows, in its own type; InputError where shape or values are wrong."""
    shape, dtype = _TABLE[name]
    expected = shape if name == "K" else (rows, *shape)
    if len(value.shape) != len(expected) or any(e not in (-1, n) for n, e in zip(value.shape, expected, strict=True)):
        raise InputError(f"{path}: {name} has shape {value.shape}, expected {expected}")
    value = _numbers(path, name, value)
    if name in _FINITE and not np.isfinite(value).all():
        raise InputError(f"{path}: {name} holds NaN or infinite values; the file is damaged")
    if dtype is np.int64 and not (np.isfinite(value).all() and (value == np.round(value)).all()):
        raise InputError(f"{path}: {name} holds values that are not whole numbers; the file is damaged")
    return value if name == "vertices" else value.astype(dtype)


def _numbers(path: Path, name: str, value: Any) -> Any:
    if value.dtype.kind not in "iufb":
        raise InputError(f"{path}: {name} holds {value.dtype} values, expected numbers")
    return value


def load_motion(path: Path, fps: float = 30.0) -> Motion:
    """Read SMPL motion: poses [F,72], trans [F,3], optional betas [10 or more] and fps.

    Wider poses (SMPL-H, SMPL-X) keep their 22 body joints; their fingers and faces are no joints of SMPL. The files of
    AMASS are known by their mocap_framerate: z is up there, and is turned to y.
    """
    arrays = load_arrays(path)
    if "poses" not in arrays or "trans" not in arrays:
        raise InputError(f"{path} has no poses and trans; a motion file needs poses [F,72] and trans [F,3]")
    poses, trans = (_numbers(path, k, arrays[k]).astype(np.float64) for k in ("poses", "trans"))
    if poses.ndim != 2 or poses.shape[1] < 72 or trans.shape != (len(poses), 3) or not len(poses):
        raise InputError(f"{path}: poses {poses.shape}, trans {trans.shape}; expected [F,72] and [F,3]")
    if not np.isfinite(poses).all() or not np.isfinite(trans).all():
        raise InputError(f"{path}: poses or trans hold NaN; mask those frames first")
    poses, trans = smpl_motion(arrays, poses, trans)
    betas = np.zeros(10)
    given = _numbers(path, "betas", arrays.get("betas", betas)).reshape(-1)[:10]
    betas[: len(given)] = given
    amass = next((name for name in _AMASS_RATES if name in arrays), None)
    rate = _numbers(path, "fps", arrays.get(amass or "fps", np.array(fps)))
    if not np.isfinite(betas).all() or rate.size != 1 or not 0 < rate.item() < np.inf:
        raise InputError(f"{path}: betas or fps cannot be used; expected finite numbers and a rate above 0")
    return Motion(poses, trans, betas, float(rate.item()))


def smpl_motion(arrays: Mapping[str, Any], poses: Floats, trans: Floats) -> tuple[Floats, Floats]:
    """Poses [F,66 or more] and trans [F,3] of a motion file as poses [F,72] and trans in a y-up world.

    Fingers and faces of wider poses are left out; files with the frame rate of AMASS have z up.
    """
    full = np.zeros((len(poses), 72))
    width = 72 if poses.shape[1] == 72 else 66
    full[:, :width] = poses[:, :width]
    if any(name in arrays for name in _AMASS_RATES):
        full[:, :3] = axis_angle_from_matrix(Y_UP @ matrix_from_axis_angle(full[:, :3]))
        trans = (trans + _REST_PELVIS) @ Y_UP.T - _REST_PELVIS  # bodies turn about their pelvis
    return full, trans


def load_arrays(path: Path) -> dict[str, Any]:
    """All arrays of an .npz, never unpickling anything; InputError before anything is unpacked where it declares more
    than `_MOST_BYTES`."""
    try:
        with zipfile.ZipFile(path) as members:
            declared = sum(member.file_size for member in members.infolist())
        if declared > _MOST_BYTES:
            raise InputError(
                f"cannot read {path}: it unpacks to {declared >> 20} MiB, at most {_MOST_BYTES >> 20} are read"
            )
        with np.load(path, allow_pickle=False) as archive:
            return {k: archive[k] for k in archive.files}
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
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


def made_folder(path: Path) -> Path:
    """The folder, made where it is missing, and tried; InputError where nothing can be written, before a run starts."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(bytes(4096))
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror}; choose another folder") from error
    if free < _LEAST_FREE:
        raise InputError(f"cannot write to {path}: {free >> 20} MiB are left on the disk; make room")
    return path


def save_text(path: Path, text: str) -> None:
    """Write a text file; InputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; check folder and disk space") from error
