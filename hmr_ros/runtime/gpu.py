"""The first NVIDIA GPU: TensorRT, and CUDA through cuda-core or PyCUDA (runtime/cuda.py).

Written against the Python interfaces of TensorRT 10 and 11. It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hmr_ros.errors import AssetError
from hmr_ros.runtime.cuda import Cuda
from hmr_ros.runtime.cuda_core import CudaCore
from hmr_ros.runtime.pycuda import PyCuda

if TYPE_CHECKING:
    from tensorrt import Logger

MAJORS = (10, 11)  # of TensorRT
_Part = TypeVar("_Part")
_WAYS: tuple[type[Cuda], ...] = (CudaCore, PyCuda)  # the first that imports is used


@dataclass(frozen=True)
class Gpu:
    """The first GPU, ready for use."""

    cuda: Cuda
    tensorrt: str  # version

    @property
    def name(self) -> str:
        """With the compute capability: the same through every package, so that plans are too."""
        return f"{self.cuda.name}-sm{self.cuda.arch}"

    @property
    def major(self) -> int:
        """Of TensorRT."""
        return int(self.tensorrt.split(".", maxsplit=1)[0])

    @contextmanager
    def current(self) -> Iterator[None]:
        """The calling thread works on this GPU. AssetError where the GPU fails."""
        try:
            with self.cuda.current():
                yield
        except self.cuda.failures() as error:
            raise AssetError(
                f"the GPU {self.name} failed ({said(error)}); free its memory, or use engine 'auto'"
            ) from error


def open_gpu() -> Gpu:
    """AssetError with the cure where TensorRT 10 or 11, both of cuda-core and PyCUDA, or the GPU is missing."""
    version = _tensorrt_version()
    way, _ = cuda_package()
    try:
        return Gpu(way(), version)
    except way.failures() as error:
        raise AssetError(f"engine 'tensorrt' finds no usable NVIDIA GPU ({said(error)}); use 'auto'") from error


def cuda_package() -> tuple[type[Cuda], str]:
    """Which package CUDA is used through, and why; AssetError with both installs where neither can be imported."""
    missing = []
    for way in _WAYS:
        try:
            way.failures()
        except ImportError as error:
            missing.append(f"{way.package}: {said(error)}")
        else:
            why = (
                f"without CUDA graphs, for it cannot be imported: {missing[0]}"
                if missing
                else "it captures CUDA graphs"
            )
            return way, why
    raise AssetError(
        "engine 'tensorrt' needs cuda-core or PyCUDA: pip install 'cuda-core[cu13]' (or cu12, as the driver), or pip"
        f" install pycuda where nvcc is, or use 'auto' ({'; '.join(missing)})"
    )


def started(make: Callable[[Logger], _Part]) -> tuple[Logger, _Part]:
    """A builder or runtime of TensorRT, and the logger that it writes to as long as it lives.

    AssetError where it does not start."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    try:
        return logger, make(logger)
    except TypeError as error:  # as pybind11 says that there is none
        raise AssetError(
            f"TensorRT {tensorrt.__version__} does not start, its log says why; update the driver, or use 'auto'"
        ) from error


def _tensorrt_version() -> str:
    try:
        import tensorrt
    except ImportError as error:
        raise AssetError("engine 'tensorrt' needs tensorrt: pip install 'tensorrt>=10,<12', or use 'auto'") from error
    version = str(tensorrt.__version__)
    if not version.startswith(tuple(f"{major}." for major in MAJORS)):
        raise AssetError(f"engine 'tensorrt' needs TensorRT 10 or 11, not {version}: pip install 'tensorrt>=10,<12'")
    return version


def said(error: Exception) -> str:
    """Its message in one line."""
    return " ".join(str(error).split())[:200]
