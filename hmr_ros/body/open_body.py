"""The compact file of the open body: an SMPL-format body that anybody may ship (CC0), about half a megabyte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hmr_ros.body.model import NUM_JOINTS, BodyModel
from hmr_ros.io.results import save_arrays
from hmr_ros.types import Floats, Ints

NAME = "open"
KEYS = (
    "name", "v_template", "shapedirs", "faces",
    "weights_index", "weights_value", "regressor_index", "regressor_value",
)  # fmt: skip


def pack(body: BodyModel) -> dict[str, Floats | Ints]:
    """Body -> small arrays: float16 shape directions and skin weights, and no zeros stored."""
    weights_index, weights_value = _sparse(body.weights, 1e-3)
    regressor_index, regressor_value = _sparse(body.J_regressor, 0.0)
    return {
        "name": np.array(body.name),
        "v_template": body.v_template.astype(np.float32),
        "shapedirs": body.shapedirs.astype(np.float16),
        "faces": body.faces.astype(np.uint16),
        "weights_index": weights_index,
        "weights_value": weights_value.astype(np.float16),
        "regressor_index": regressor_index,
        "regressor_value": regressor_value.astype(np.float32),
    }


def unpack(arrays: Mapping[str, Floats | Ints]) -> BodyModel:
    """Inverse of `pack`, in float64, up to the rounding of the file; rows of weights and regressor sum to 1 again."""
    V = len(arrays["v_template"])
    weights = _dense(arrays["weights_index"], arrays["weights_value"], (V, NUM_JOINTS))
    regressor = _dense(arrays["regressor_index"], arrays["regressor_value"], (NUM_JOINTS, V))
    return BodyModel(
        name=str(arrays["name"]),
        v_template=arrays["v_template"].astype(np.float64),
        shapedirs=arrays["shapedirs"].astype(np.float64),
        posedirs=None,
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights / weights.sum(1, keepdims=True),
        faces=arrays["faces"].astype(np.int64),
    )


def save(body: BodyModel, path: Path) -> None:
    """Write the compact file; the same body always gives the same bytes."""
    save_arrays(path, **pack(body))


def _sparse(dense: Floats, threshold: float) -> tuple[Ints, Floats]:
    """Flat indices [n] and values [n] of the entries above the threshold in size."""
    index = np.flatnonzero(np.abs(dense) > threshold)
    return index.astype(np.uint32), dense.reshape(-1)[index]


def _dense(index: Ints, values: Floats, shape: tuple[int, int]) -> Floats:
    dense = np.zeros(shape[0] * shape[1])
    dense[index] = values
    return dense.reshape(shape)
