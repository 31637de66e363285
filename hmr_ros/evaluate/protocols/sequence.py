"""What a data set says of one sequence, and what its readers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.body.restricted_pickle import read_pickle
from hmr_ros.errors import BodyModelError, InputError
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Array, Camera, Floats, Ints

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Posed:
    """SMPL parameters of a person in N frames, camera frame."""

    poses: Float[Array, "N 72"]  # axis-angle rad, the first body -> camera
    betas: Float[Array, " 10"]
    transl: Float[Array, "N 3"] | None = None  # m; None where the body is not at hand
    body: BodyModel | None = None  # of the person's gender

    def vertices(self, row: int) -> Floats | None:
        """Surface [V,3] m; None where the body is not at hand."""
        if self.body is None or self.transl is None:
            return None
        return self.body.vertices(self.poses[row, :3], self.poses[row, 3:], self.betas, self.transl[row])


@dataclass(frozen=True)
class Subject:
    """The truth of one person in the N frames that the protocol judges; camera frame, metres."""

    frames: Int[Array, " N"]  # index of the image
    boxes: Float[Array, "N 4"]  # px, around the person
    joints: Float[Array, "N 24 3"] | None = None  # SMPL's
    joints_2d: Float[Array, "N 24 2"] | None = None  # px
    posed: Posed | None = None
    markers: Float[Array, "N 15 3"] | None = None  # the 14 joints of LSP and the pelvis, measured without a mesh
    joints_world: Float[Array, "N 24 3"] | None = None  # where the camera's own way is known


@dataclass(frozen=True)
class Sequence:
    """Images of one camera and the people in them."""

    name: str  # also that of its folder of results
    images: list[Path]
    fps: float
    camera: Camera
    moving: bool  # the camera is carried
    subjects: list[Subject]


def read_annotation(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Entries of a pickled dictionary, all of `keys`; nothing in the file is run. InputError."""
    try:
        content = read_pickle(path, keys)
    except BodyModelError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can fail anywhere inside the reader
        raise InputError(f"cannot read {path}: damaged, or not a pickle of the data set") from error
    missing = [k for k in keys if k not in content]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing)}; is it the data set's own file?")
    return content


def numbers(
    path: Path, content: Mapping[str, Any], key: str, shape: tuple[int, ...], rows: Ints | None = None
) -> Floats:
    """`content[key]` as floats of `shape`, -1 = any number, finite (in these `rows`); InputError."""
    try:
        array = np.asarray(content[key], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {key} is not an array of numbers") from error
    fits = array.ndim == len(shape) and all(e in (-1, n) for n, e in zip(array.shape, shape, strict=True))
    if not fits or not np.isfinite(array if rows is None else array[rows]).all():
        raise InputError(f"{path}: {key} has shape {array.shape}, expected finite numbers {shape}")
    return array


def in_camera(poses: Floats, betas: Floats, trans: Floats, extrinsics: Floats, body: BodyModel | None) -> Posed:
    """SMPL parameters in the world as those in the camera: poses [N,72], betas [10], trans [N,3] m, world to camera
    [N,4,4]. SMPL turns about its pelvis at rest, so the translation needs the body."""
    R, t = extrinsics[:, :3, :3], extrinsics[:, :3, 3]
    turned = poses.copy()
    turned[:, :3] = axis_angle_from_matrix(R @ matrix_from_axis_angle(poses[:, :3]))
    if body is None:
        return Posed(turned, betas)
    pelvis = body.rest_joints(betas)[0]
    return Posed(turned, betas, np.einsum("nab,nb->na", R, pelvis + trans) + t - pelvis, body)


def moved(points: Floats, transforms: Floats) -> Floats:
    """Points [N,J,3] after rigid transforms [N,4,4]."""
    return np.asarray(np.einsum("nab,njb->nja", transforms[:, :3, :3], points) + transforms[:, None, :3, 3])


def existing(folder: Path, what: str) -> Path:
    """The folder; InputError that says what belongs there."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; {what}")
    return folder
