"""One door to every body: the shipped open body, or a user's SMPL file, checked before use."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body import open_body
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, BodyModel
from hmr_ros.body.restricted_pickle import read_pickle
from hmr_ros.errors import BodyModelError
from hmr_ros.types import Floats

NUM_CORRECTIVES = 9 * (NUM_JOINTS - 1)
SMPL_KEYS = ("v_template", "shapedirs", "J_regressor", "weights", "f")
OPTIONAL_KEYS = ("posedirs", "kintree_table")


def load_body(path: str | Path | None = None) -> BodyModel:
    """The shipped open body (None or ""), or the SMPL body of a .npz or .pkl file, named `smpl:<file stem>`."""
    if path is None or str(path) == "":
        return _shipped_body()
    path = Path(path).expanduser()
    if not path.is_file():
        raise BodyModelError(f"body model {path}: no such file; leave it empty for the open body that is included")
    read = {".npz": _read_npz, ".pkl": read_pickle}.get(path.suffix.lower())
    if read is None:
        raise BodyModelError(f"body model {path}: an SMPL body is a .npz or .pkl file, not {path.suffix or 'this'}")
    try:
        return _body_from_smpl(f"smpl:{path.stem}", read(path, SMPL_KEYS + OPTIONAL_KEYS))
    except (BodyModelError, MemoryError) as error:
        raise BodyModelError(f"body model {path}: {_line(error)}") from error
    except Exception as error:  # a damaged file can fail anywhere inside the readers
        raise BodyModelError(f"body model {path}: damaged or not an SMPL file ({_line(error)})") from error


@lru_cache(maxsize=1)
def _shipped_body() -> BodyModel:
    with as_file(files("hmr_ros") / "assets" / "open_body.npz") as path:
        try:
            return open_body.unpack(_read_npz(path, open_body.KEYS))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BodyModelError(f"the included open body is damaged, install hmr_ros again ({error})") from error


def _read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in keys if key in archive.files}


def _body_from_smpl(name: str, content: Mapping[str, Any]) -> BodyModel:
    """Checked body from SMPL's arrays; more than 10 betas are cut to the first 10."""
    missing = [key for key in SMPL_KEYS if key not in content]
    if missing:
        raise BodyModelError(f"keys {', '.join(missing)} are missing; an SMPL file holds {', '.join(SMPL_KEYS)}")
    template = _floats(content, "v_template", 2)
    shapedirs = _floats(content, "shapedirs", 3)[..., :NUM_BETAS]
    weights = _floats(content, "weights", 2)
    posedirs = _floats(content, "posedirs", 3) if "posedirs" in content else None
    if posedirs is not None and posedirs.shape != (len(template), 3, NUM_CORRECTIVES):
        raise BodyModelError(f"posedirs is {posedirs.shape}, SMPL has {(len(template), 3, NUM_CORRECTIVES)}")
    if "kintree_table" in content:
        _check_tree(np.asarray(content["kintree_table"]))
    if (weights < -1e-6).any() or np.abs(weights.sum(1) - 1).max() > 1e-2:
        raise BodyModelError("rows of weights must be positive and sum to 1")
    return BodyModel(
        name=name,
        v_template=template,
        shapedirs=shapedirs,
        posedirs=posedirs if posedirs is not None and posedirs.any() else None,  # zeros only cost time
        J_regressor=_floats(content, "J_regressor", 2),
        weights=weights,
        faces=_faces(content["f"], len(template)),
    )


def _floats(content: Mapping[str, Any], key: str, dimensions: int) -> Floats:
    """One array as finite float64."""
    array = np.asarray(content[key])
    if array.dtype.kind not in "fiu" or array.ndim != dimensions or not array.size:
        raise BodyModelError(f"{key} is not a {dimensions}-dimensional array of numbers")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise BodyModelError(f"{key} holds values that are not finite")
    return array


def _faces(faces: Any, num_vertices: int) -> Any:
    array = np.asarray(faces)
    if array.dtype.kind not in "iu" or array.ndim != 2:
        raise BodyModelError("f is not a table of vertex ids")
    if array.size and (array.min() < 0 or array.max() >= num_vertices):
        raise BodyModelError(f"f names vertices outside 0..{num_vertices - 1}")
    return array.astype(np.int64)


def _check_tree(table: Any) -> None:
    """SMPL-H and SMPL-X have other trees; the root's parent is written as -1 or 2**32-1."""
    if table.shape != (2, NUM_JOINTS) or not np.array_equal(table[0, 1:].astype(np.int64), SMPL_PARENTS[1:]):
        raise BodyModelError(f"kintree_table is not SMPL's tree of {NUM_JOINTS} joints (SMPL-H and SMPL-X have others)")


def _line(error: BaseException) -> str:
    """First line of a message; pickle's own errors may be empty."""
    text = str(error).strip().splitlines()
    fallback = (
        "the file ends too early" if isinstance(error, (EOFError, pickle.UnpicklingError)) else type(error).__name__
    )
    return text[0] if text else fallback
