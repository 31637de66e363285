"""3DPW (von Marcard et al., ECCV 2018): sequenceFiles/SPLIT/*.pkl and imageFiles/SEQUENCE/image_*.jpg.

Poses and joints are in the world, `cam_poses` leads to the camera; a person counts in the frames whose `campose_valid`
is set. Joints without a mesh are `jointPositions`, SMPL's 24.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.evaluate.crowd import boxes
from hmr_ros.evaluate.protocols.sequence import (
    Sequence,
    Subject,
    existing,
    in_camera,
    moved,
    numbers,
    read_annotation,
)
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles
from hmr_ros.geometry.camera import project
from hmr_ros.types import Camera, Floats

SPLITS = ("test", "validation", "train")
_KEYS = (
    "sequence", "poses", "betas", "trans", "genders", "jointPositions", "cam_poses", "cam_intrinsics", "campose_valid",
)  # fmt: skip
_FPS = 30.0
_GENDERS = {"m": "male", "f": "female"}


def find(folder: Path, split: str) -> list[Path]:
    """The annotations of a split; InputError."""
    where = existing(
        existing(folder, "give the folder of 3DPW") / "sequenceFiles" / split,
        "unpack sequenceFiles.zip of 3DPW in the folder that you give",
    )
    found = sorted(where.glob("*.pkl"))
    if not found:
        raise InputError(f"{where} holds no .pkl; unpack sequenceFiles.zip of 3DPW again")
    return found


def load(path: Path, smpl: SmplFiles | None) -> Sequence:
    """One sequence; InputError."""
    content = read_annotation(path, _KEYS)
    K = numbers(path, content, "cam_intrinsics", (3, 3))
    extrinsics = numbers(path, content, "cam_poses", (-1, 4, 4), np.zeros(0, np.int64))
    people = _as_list(path, content, "poses")
    subjects = [_subject(path, content, k, K, len(extrinsics), smpl) for k in range(len(people))]
    name = str(content["sequence"])
    if not name or Path(name).name != name:
        raise InputError(f"{path}: '{name}' is not the name of a sequence")
    images = path.parents[2] / "imageFiles" / name
    return Sequence(
        name, [images / f"image_{i:05d}.jpg" for i in range(len(extrinsics))], _FPS, Camera(K, 0, 0), True, subjects
    )


def _subject(path: Path, content: dict[str, Any], k: int, K: Floats, F: int, smpl: SmplFiles | None) -> Subject:
    """Person `k` in those of `F` frames that count."""
    own = {key: _as_list(path, content, key)[k] for key in ("poses", "betas", "trans", "genders", "jointPositions")}
    valid = np.asarray(_as_list(path, content, "campose_valid")[k]).astype(bool).reshape(-1)
    if len(valid) != F:
        raise InputError(f"{path}: campose_valid of person {k} has {len(valid)} entries for {F} frames")
    rows = np.flatnonzero(valid)
    poses, trans = numbers(path, own, "poses", (F, 72), rows), numbers(path, own, "trans", (F, 3), rows)
    world = numbers(path, own, "jointPositions", (F, 72), rows).reshape(F, 24, 3)
    to_camera = numbers(path, content, "cam_poses", (F, 4, 4), rows)[rows]
    betas = numbers(path, own, "betas", (-1,))[:10]
    gender = _GENDERS.get(str(own["genders"]))
    if gender is None or len(betas) != 10:
        raise InputError(f"{path}: genders or betas of person {k} are not as 3DPW has them")
    joints = moved(world[rows], to_camera)
    flat = project(joints, K)
    posed = in_camera(poses[rows], betas, trans[rows], to_camera, smpl.body(gender) if smpl else None)
    return Subject(rows, boxes(flat), joints, flat, posed)


def _as_list(path: Path, content: dict[str, Any], key: str) -> list[Any]:
    """One entry a person; InputError."""
    value = content[key]
    count = len(content["poses"]) if isinstance(content["poses"], list | np.ndarray) else -1
    if not isinstance(value, list | np.ndarray) or len(value) != count:
        raise InputError(f"{path}: {key} is not a list with one entry a person")
    return list(value)
