"""EMDB (Kaufmann et al., ICCV 2023): P*/SEQUENCE/*_data.pkl beside images/.

The file says itself whether the sequence belongs to EMDB 1 (poses in the camera) or EMDB 2 (ways in the world), and in
which frames the person can be seen (`good_frames_mask`). Joints need SMPL's files; without them poses and projected
joints are left.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    numbers,
    read_annotation,
)
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles
from hmr_ros.types import Camera, Floats, Ints

_KEYS = ("name", "gender", "emdb1", "emdb2", "n_frames", "good_frames_mask", "camera", "smpl", "kp2d")
_FPS = 30.0


def find(folder: Path) -> list[Path]:
    """All annotations; InputError."""
    found = sorted(existing(folder, "give the folder of EMDB").glob("P*/*/*_data.pkl"))
    if not found:
        raise InputError(f"{folder} holds no P*/SEQUENCE/*_data.pkl; unpack the files of EMDB there")
    return found


def load(path: Path, smpl: SmplFiles | None, part: str) -> Sequence | None:
    """One sequence; None where it is not of the `part` (emdb1, emdb2). InputError."""
    content = read_annotation(path, _KEYS)
    if not bool(np.asarray(content[part])):
        return None
    if not isinstance(content["camera"], Mapping) or not isinstance(content["smpl"], Mapping):
        raise InputError(f"{path}: camera and smpl are not as EMDB has them")
    F = int(np.asarray(content["n_frames"]))
    K = numbers(path, content["camera"], "intrinsics", (3, 3))
    good = np.asarray(content["good_frames_mask"]).astype(bool).reshape(-1)
    if len(good) != F:
        raise InputError(f"{path}: good_frames_mask has {len(good)} entries for {F} frames")
    rows = np.flatnonzero(good)
    extrinsics = numbers(path, content["camera"], "extrinsics", (F, 4, 4), rows)[rows]
    flat = numbers(path, content, "kp2d", (F, 24, 2), rows)[rows]
    poses, betas, trans = _parameters(path, content["smpl"], F, rows)
    body = smpl.body(str(content["gender"])) if smpl else None
    posed = in_camera(poses, betas, trans, extrinsics, body)
    joints, world = None, None
    if body is not None and posed.transl is not None:
        joints = body.joints(posed.poses[:, :3], posed.poses[:, 3:], betas, posed.transl)
        world = body.joints(poses[:, :3], poses[:, 3:], betas, trans)
    images = [path.parent / "images" / f"{i:05d}.jpg" for i in range(F)]
    subject = Subject(rows, boxes(flat), joints, flat, posed, joints_world=world)
    return Sequence(f"{path.parent.parent.name}_{path.parent.name}", images, _FPS, Camera(K, 0, 0), True, [subject])


def _parameters(path: Path, smpl: Mapping[str, Any], F: int, rows: Ints) -> tuple[Floats, Floats, Floats]:
    """Poses [N,72], betas [10] and trans [N,3] in the world, of these of F frames."""
    root, rest, trans = (
        numbers(path, smpl, key, (F, width), rows)[rows]
        for key, width in (("poses_root", 3), ("poses_body", 69), ("trans", 3))
    )
    return np.concatenate([root, rest], 1), numbers(path, smpl, "betas", (10,)), trans
