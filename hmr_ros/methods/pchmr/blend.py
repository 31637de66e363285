"""Which bones move which point in PC-HMR's calibration: A and W of Eq. 12-13, in closed form or as trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body.coarse import CoarseMesh
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.body.points import BodyPoints
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.types import Floats

WEIGHTS = "calibrate.safetensors"
_NAME = "calibrate"
_BONES = len(SMPL_PARENTS)


@dataclass(frozen=True)
class Blend:
    """Which bones move which point, and how much of the non-rigid rest it takes."""

    A: Floats  # [P,24], rows sum to 1
    W: Floats  # [P,24], 0 at the parent joint to 1 at the child joint


def blend_of(points: BodyPoints) -> Blend:
    """A and W before any training: A is the skinning weight of the bone's parent joint, shared by the bones that start
    there; W the projection on the bone at rest."""
    children = [[c for c in range(1, _BONES) if SMPL_PARENTS[c] == j] for j in range(_BONES)]
    A, W = np.zeros((len(points), _BONES)), np.zeros((len(points), _BONES))
    for joint, bones in enumerate(children):
        if joint == 0:
            A[:, 0] += points.weights[:, 0]
        elif len(bones) == 1:
            A[:, bones[0]] += points.weights[:, joint]
        else:  # a leaf moves with the bone that ends there, a fork (chest) too
            A[:, joint] += points.weights[:, joint]
    for bone in range(1, _BONES):
        start, end = points.J_template[[SMPL_PARENTS[bone], bone]]
        along = end - start
        W[:, bone] = np.clip((points.template - start) @ along / (along @ along), 0.0, 1.0)
    return Blend(A, W)


def trained_blend(body: BodyModel, mesh: CoarseMesh, count: int) -> Blend:
    """Of the first `count` of the 448 coarse points: as trained where the package holds the weights and safetensors is
    installed, else in closed form."""
    path = asset(WEIGHTS)
    try:
        blend = load_blend(path) if path.is_file() else blend_of(mesh.points(body))
    except ModuleNotFoundError:
        blend = blend_of(mesh.points(body))
    return Blend(blend.A[:count], blend.W[:count])


def save_blend(path: Path, blend: Blend, notes: dict[str, Any]) -> None:
    """Both matrices as float32."""
    from safetensors.numpy import save_file

    tensors = {name: np.ascontiguousarray(getattr(blend, name), np.float32) for name in ("A", "W")}
    partial = path.with_suffix(".part")  # a file of that name is a whole one
    save_file(tensors, str(partial), metadata={"network": _NAME, "notes": json.dumps(notes, default=str)})
    partial.chmod(0o644)
    partial.replace(path)


def load_blend(path: Path) -> Blend:
    """Inverse of `save_blend`; rows of A sum to 1 in float64 again. AssetError."""
    from safetensors import SafetensorError, safe_open

    cure = f"reinstall hmr_ros or train: hmr train {_NAME}"
    if not path.is_file():
        raise AssetError(f"no weights at {path}; {cure}")
    try:
        with safe_open(str(path), framework="np") as f:
            if (f.metadata() or {}).get("network") != _NAME:
                raise AssetError(f"{path} does not hold the weights of '{_NAME}'; give the right file")
            A, W = (f.get_tensor(name).astype(np.float64) for name in ("A", "W"))
    except (SafetensorError, OSError, ValueError) as error:
        raise AssetError(f"cannot read {path} ({error}); {cure}") from error
    if A.ndim != 2 or A.shape != W.shape or A.shape[1] != _BONES:
        raise AssetError(f"{path} holds matrices of the wrong size; {cure}")
    return Blend(A / A.sum(1, keepdims=True), W)
