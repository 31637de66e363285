"""Bodies and SMPL files for the tests; no licensed file is needed."""

from __future__ import annotations

import pickle
import struct
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel

sys.path.insert(0, str(Path(__file__).parent))  # for the plain fit


@pytest.fixture(scope="session")
def synthetic_body(open_body: BodyModel) -> BodyModel:
    """A cloud of 200 vertices with random pose correctives, weights and shapes."""
    rng = np.random.default_rng(1)
    n = 200
    weights = rng.random((n, 24)) ** 4
    regressor = rng.random((24, n)) ** 6
    return BodyModel(
        name="synthetic",
        v_template=rng.normal(size=(n, 3)),
        shapedirs=0.1 * rng.normal(size=(n, 3, 10)),
        posedirs=0.01 * rng.normal(size=(n, 3, 207)),
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights / weights.sum(1, keepdims=True),
        faces=rng.integers(0, n, (300, 3)),
    )


@pytest.fixture(params=["open", "synthetic"])
def body(request: pytest.FixtureRequest, open_body: BodyModel, synthetic_body: BodyModel) -> BodyModel:
    return {"open": open_body, "synthetic": synthetic_body}[request.param]


@pytest.fixture
def random_person() -> Any:
    """seed -> keyword arguments of BodyModel.vertices: a wild pose."""

    def person(seed: int, spread: float = 0.5) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        return {
            "global_orient": rng.normal(size=3),
            "body_pose": spread * rng.normal(size=69),
            "betas": rng.normal(size=10),
            "transl": rng.normal(size=3),
        }

    return person


@pytest.fixture
def smpl_arrays() -> Any:
    """Body -> the dictionary of an SMPL file."""

    def arrays(body: BodyModel) -> dict[str, Any]:
        posedirs = np.zeros((len(body.v_template), 3, 207)) if body.posedirs is None else body.posedirs
        parents = np.where(SMPL_PARENTS < 0, 2**32 - 1, SMPL_PARENTS).astype(np.uint32)
        return {
            "v_template": body.v_template,
            "shapedirs": body.shapedirs,
            "posedirs": posedirs,
            "J_regressor": body.J_regressor,
            "weights": body.weights,
            "f": body.faces.astype(np.uint32),
            "kintree_table": np.stack([parents, np.arange(24, dtype=np.uint32)]),
        }

    return arrays


@pytest.fixture
def save_smpl_pkl(tmp_path: Path, smpl_arrays: Any) -> Any:
    """Body -> path of a .pkl that smplx reads too."""

    def save(body: BodyModel, **changed: Any) -> Path:
        path = tmp_path / f"{body.name}.pkl"
        path.write_bytes(pickle.dumps(smpl_arrays(body) | changed, protocol=2))
        return path

    return save


class _Python2Pickler(pickle._Pickler):  # the C pickler cannot be told to write byte strings
    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_byte_string(self, data: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    dispatch[bytes] = save_byte_string


@pytest.fixture
def python2_dump() -> Any:
    """(object, path): pickle as Python 2 with an old NumPy did."""

    def dump(content: object, path: Path) -> None:
        with path.open("wb") as file:
            _Python2Pickler(file, protocol=2).dump(content)
        path.write_bytes(path.read_bytes().replace(b"cnumpy._core.", b"cnumpy.core."))

    return dump
