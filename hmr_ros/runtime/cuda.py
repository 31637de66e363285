"""What TensorRT's runner needs of CUDA; `cuda_core.py` and `pycuda.py` give it, each through one Python package.

Everything belongs to the first GPU and works only within `Cuda.current`; memory is freed with the object that holds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hmr_ros.types import Floats


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes of the GPU; weakly referenced by who frees them."""

    handle: int  # address
    size: int
    owner: object = None  # lives as long


class Pair(ABC):
    """A tensor's rows in page-locked memory and on the GPU."""

    rows: Floats  # what the CPU reads and writes; never outlives the pair
    handle: int  # address on the GPU

    @abstractmethod
    def first(self, people: int) -> Pair:
        """The same memory for fewer people, so that no more than these are copied."""

    @abstractmethod
    def upload(self) -> None:
        """Order the copy to the GPU, on the stream that the memory was made with."""

    @abstractmethod
    def download(self) -> None:
        """Order the copy from the GPU."""


class Graph(ABC):
    """What a stream captured."""

    @abstractmethod
    def launch(self) -> None:
        """Order all of it, on the stream that captured it."""


class Stream(ABC):
    """Work that the GPU does in the order in which it was given."""

    handle: int

    @abstractmethod
    def sync(self) -> None:
        """Wait for all of it."""

    @abstractmethod
    def memory(self, size: int) -> DeviceMemory:
        """So many bytes."""

    @abstractmethod
    def pair(self, shape: tuple[int, ...]) -> Pair:
        """float32 of this shape."""

    @abstractmethod
    def capture(self, order: Callable[[], None]) -> Graph:
        """What `order` orders on this stream, which does not happen; AssetError where the package cannot."""


class Cuda(ABC):
    """The first GPU."""

    package: str  # as pip calls it
    cannot_capture: str = ""  # why not, and the cure
    name: str
    arch: str  # compute capability in digits, e.g. 89

    @staticmethod
    @abstractmethod
    def failures() -> tuple[type[Exception], ...]:
        """What the calls raise where the GPU fails. ImportError where the package is missing."""

    @abstractmethod
    def __init__(self) -> None:
        """Takes the GPU, in CUDA's primary context, which torch and ONNX Runtime use as well."""

    @abstractmethod
    def current(self) -> AbstractContextManager[None]:
        """The calling thread works on this GPU."""

    @abstractmethod
    def stream(self) -> Stream:
        """A new one."""
