"""Unpickle SMPL files without running what they say: only arrays, sparse matrices and plain containers can be made."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from hmr_ros.errors import BodyModelError
from hmr_ros.types import Floats


class ChumpyHolder:
    """Stands in for chumpy's classes: keeps the pickled state and does nothing."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}

    def array(self) -> Floats:
        """The value of a constant (`x`), of a chosen part of one (`a` at `idxs`), or a cached result (`r`)."""
        for key in ("x", "r", "_r"):
            value = self.state.get(key)
            if isinstance(value, (np.ndarray, ChumpyHolder)):
                return value.array() if isinstance(value, ChumpyHolder) else value
        part, idxs = self.state.get("a"), self.state.get("idxs")
        if isinstance(part, ChumpyHolder) and isinstance(idxs, np.ndarray):
            chosen = part.array().reshape(-1)[idxs.astype(np.int64)]
            shape = self.state.get("preferred_shape")
            return chosen.reshape(shape) if shape is not None else chosen
        raise ValueError("a chumpy value that is not a plain array")


class SparseHolder:
    """Stands in for scipy.sparse's compressed matrices of any SciPy version."""

    columns = True

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}

    def array(self) -> Floats:
        """The dense matrix."""
        shape = self.state.get("_shape", self.state.get("shape"))
        parts = tuple(self.state[key] for key in ("data", "indices", "indptr"))
        kind = scipy.sparse.csc_matrix if self.columns else scipy.sparse.csr_matrix
        matrix = kind(parts, shape=shape)
        matrix.check_format(full_check=True)  # the indices come from the file
        return matrix.toarray()


class SparseRowsHolder(SparseHolder):
    """Row-compressed twin."""

    columns = False


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """_codecs.encode as Python 2 bytes are written by Python 3, and nothing else of that function."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encoding {encoding}")
    return text.encode("latin1")


def _empty_array(*_: object) -> Floats:
    """numpy's _reconstruct: always an empty plain array; the state that follows fills it."""
    return np.empty(0, dtype=np.uint8)


def _array(shape: Any, dtype: Any, buffer: Any = None, *layout: Any) -> Floats:
    """ndarray's constructor without object arrays."""
    if np.dtype(dtype).hasobject:
        raise pickle.UnpicklingError("an object array")
    return np.ndarray(shape, dtype, buffer, *layout)


def _scalar(dtype: Any, value: Any = None) -> Any:
    """numpy's scalar without object scalars."""
    if np.dtype(dtype).hasobject or not isinstance(value, (bytes, str)):
        raise pickle.UnpicklingError("an object scalar")
    return np.frombuffer(value if isinstance(value, bytes) else value.encode("latin1"), dtype=dtype, count=1)[0]


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Floats:
    """numpy's protocol-5 array."""
    if np.dtype(dtype).hasobject:
        raise pickle.UnpicklingError("an object array")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


_NUMPY: dict[str, Callable[..., Any]] = {"_reconstruct": _empty_array, "scalar": _scalar}
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **{(f"numpy.{core}.multiarray", name): make for core in ("core", "_core") for name, make in _NUMPY.items()},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    # the class is only ever an argument of _reconstruct; calling it goes through the checks too
    ("numpy", "ndarray"): _array,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): dict,
    **{(builtins, name): kind for builtins in ("builtins", "__builtin__")
       for name, kind in (("set", set), ("frozenset", frozenset), ("complex", complex), ("slice", slice))},
    ("copy_reg", "_reconstructor"): lambda kind, *_: kind(),
    ("copyreg", "_reconstructor"): lambda kind, *_: kind(),
    **{(builtins, "object"): dict for builtins in ("builtins", "__builtin__")},
}  # fmt: skip


class _Unpickler(pickle.Unpickler):
    """Refuses every global that is not in the table above."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "chumpy":
            return ChumpyHolder
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csc_array"):
            return SparseHolder
        if module.startswith("scipy.sparse") and name in ("csr_matrix", "csr_array"):
            return SparseRowsHolder
        if (module, name) not in _ALLOWED:
            raise BodyModelError(f"it asks for {module}.{name}, which a body model does not need; it was not run")
        return _ALLOWED[module, name]


def read_pickle(path: Path) -> dict[str, Any]:
    """The pickled dictionary of a Python 2 or 3 SMPL file, its chumpy and sparse values turned into arrays."""
    with path.open("rb") as file:
        content = _Unpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError("it does not hold a dictionary")
    plain = {}
    for key, value in content.items():
        name = key.decode("latin1") if isinstance(key, bytes) else str(key)
        if isinstance(value, (ChumpyHolder, SparseHolder)):
            try:
                value = value.array()
            except (KeyError, ValueError, TypeError, IndexError):
                continue  # a key that is needed is missed, with its name, by the reader
        plain[name] = value
    return plain
