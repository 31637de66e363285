"""The first NVIDIA GPU: TensorRT, and NVIDIA's cuda-core for streams, memory and CUDA graphs.

Written against the Python interfaces of TensorRT 10 and 11 and of cuda-core 1 (typings/). It has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hmr_ros.errors import AssetError

if TYPE_CHECKING:
    from cuda.core import Device

MAJORS = (10, 11)  # of TensorRT


@dataclass(frozen=True)
class Gpu:
    """The first GPU, ready for use."""

    device: Device
    name: str  # with the compute capability
    tensorrt: str  # version

    @property
    def major(self) -> int:
        """Of TensorRT."""
        return int(self.tensorrt.split(".", maxsplit=1)[0])

    @contextmanager
    def current(self) -> Iterator[None]:
        """The calling thread works on this GPU, in CUDA's primary context, which torch and ONNX Runtime use as well.

        AssetError where the GPU fails.
        """
        from cuda.core._utils.cuda_utils import CUDAError  # has no public name

        try:
            self.device.set_current()
            yield
        except (CUDAError, RuntimeError) as error:
            raise AssetError(
                f"the GPU {self.name} failed ({said(error)}); free its memory, or use engine 'auto'"
            ) from error


def open_gpu() -> Gpu:
    """AssetError with the cure where TensorRT 10 or 11, cuda-core or the GPU is missing."""
    version = _tensorrt_version()
    try:
        from cuda.core import Device
        from cuda.core._utils.cuda_utils import CUDAError
    except ImportError as error:
        raise AssetError(
            "engine 'tensorrt' needs cuda-core: pip install 'cuda-core[cu13]' (or cu12, as the driver), or use 'auto'"
        ) from error
    try:
        device = Device(0)
        device.set_current()
        return Gpu(device, f"{device.name}-sm{device.arch}", version)
    except (CUDAError, RuntimeError) as error:
        raise AssetError(f"engine 'tensorrt' finds no usable NVIDIA GPU ({said(error)}); use 'auto'") from error


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
