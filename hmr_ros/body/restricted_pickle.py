"""Read pickled SMPL files and annotations without running what they say.

Every class that such a file may name is replaced by a holder in this file that only keeps the pickled state; arrays
are made from the states afterwards. NumPy's own unpickling is not used: a forged dtype can corrupt memory.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse

from hmr_ros.errors import BodyModelError
from hmr_ros.types import Floats


class _Holder:
    """Keeps a pickled state; whatever it is called with is ignored."""

    state: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}

    def array(self) -> Floats:
        """The value as an array; ValueError or KeyError where it is none."""
        raise ValueError("not an array")


class _Chumpy(_Holder):
    """Any class of chumpy, the automatic differentiation that SMPL's files were made with."""

    def array(self) -> Floats:
        """A constant (`x`), a cached result (`r`) or a selection (`a` at `idxs`)."""
        for key in ("x", "r", "_r"):
            if isinstance(self.state.get(key), _Holder):
                return self.state[key].array()
        chosen = self.state["a"].array().reshape(-1)[self.state["idxs"].array().astype(np.int64)]
        shape = self.state.get("preferred_shape")
        return chosen if shape is None else chosen.reshape(shape)


class _SparseColumns(_Holder):
    """scipy.sparse's column-compressed matrix of any SciPy version."""

    kind = scipy.sparse.csc_matrix

    def array(self) -> Floats:
        """The dense matrix."""
        shape = self.state.get("_shape", self.state.get("shape"))
        parts = tuple(self.state[key].array() for key in ("data", "indices", "indptr"))
        matrix = self.kind(parts, shape=shape)
        matrix.check_format(full_check=True)  # the indices come from the file
        return matrix.toarray()


class _SparseRows(_SparseColumns):
    """The row-compressed matrix."""

    kind = scipy.sparse.csr_matrix


class _Dtype(_Holder):
    """numpy.dtype of plain numbers and strings."""

    def __init__(self, spec: object = "", *_: object) -> None:
        self.spec, self.order = spec, "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1:
            self.order = _text(state[1])  # (version, byte order, ...); the rest is for records

    def dtype(self) -> Any:
        """The checked dtype."""
        dtype = np.dtype(_text(self.spec))
        if dtype.kind not in "biufcSU":
            raise ValueError(f"an array of {dtype}")
        return dtype if self.order == "|" else dtype.newbyteorder(self.order)  # type: ignore[arg-type]


class _Array(_Holder):
    """numpy.ndarray: state is (version, shape, dtype, Fortran order, bytes)."""

    parts: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        self.parts = state if isinstance(state, tuple) else ()

    def array(self) -> Floats:
        """A copy of the values."""
        if len(self.parts) < 4 or not isinstance(self.parts[-3], _Dtype):
            raise ValueError("an array without values")
        shape, dtype, fortran, data = self.parts[-4:]
        return np.frombuffer(_bytes(data), dtype=dtype.dtype()).reshape(shape, order="F" if fortran else "C").copy()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """numpy's array of pickle protocol 5."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: Any = None, data: Any = b"") -> _Array:
    """numpy's scalar, kept as an array without dimensions."""
    return _from_buffer(data, dtype, (), "C")


def _encode(text: str, encoding: str = "") -> bytes:
    """_codecs.encode in the one way in which Python 3 writes bytes for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"encoding {encoding}")
    return text.encode("latin1")


def _bytes(data: Any) -> bytes:
    """Raw values; Python 2 wrote them as text."""
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _reconstructor(kind: Callable[[], Any], *_: object) -> Any:
    """copyreg's way to make an instance of an old class."""
    return kind()


_ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
    "copyreg._reconstructor": _reconstructor,
    "copy_reg._reconstructor": _reconstructor,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED |= {
        f"{_core}.multiarray._reconstruct": _Array,
        f"{_core}.multiarray.scalar": _scalar,
        f"{_core}.numeric._frombuffer": _from_buffer,
    }
for _builtins in ("builtins", "__builtin__"):
    _ALLOWED |= {f"{_builtins}.{kind.__name__}": kind for kind in (set, frozenset, bytearray)}
    _ALLOWED[f"{_builtins}.object"] = _Holder
_SPARSE = {
    "csc_matrix": _SparseColumns,
    "csc_array": _SparseColumns,
    "csr_matrix": _SparseRows,
    "csr_array": _SparseRows,
}


class _Unpickler(pickle.Unpickler):
    """Refuses every global that is not in the tables above."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.split(".", maxsplit=1)[0]
        if package == "chumpy":
            return _Chumpy
        if module.startswith("scipy.sparse") and name in _SPARSE:
            return _SPARSE[name]
        if f"{module}.{name}" not in _ALLOWED:
            raise BodyModelError(f"it asks for {module}.{name}, which arrays do not need; refused, not run")
        return _ALLOWED[f"{module}.{name}"]


def read_pickle(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """The named entries of a dictionary pickled by Python 2 or 3, as arrays; lists and dictionaries may hold them too,
    what is no array is left as it is. BodyModelError and whatever a damaged pickle raises."""
    with path.open("rb") as file:
        content = _Unpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError("it does not hold a dictionary")
    named = {_text(key): value for key, value in content.items()}
    return {key: _resolve(key, named[key]) for key in keys if key in named}


def _resolve(key: str, value: object) -> object:
    if isinstance(value, dict):
        return {_text(k): _resolve(_text(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_resolve(key, v) for v in value]
    if not isinstance(value, _Holder):
        return value
    try:
        return value.array()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BodyModelError(f"{key} cannot be read as an array ({error})") from error
