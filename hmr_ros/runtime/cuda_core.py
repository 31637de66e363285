"""CUDA through NVIDIA's cuda-core 1, which captures graphs. It has not run on a GPU yet."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from hmr_ros.runtime import cuda
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from cuda.core import Buffer
    from cuda.core import Stream as CoreStream
    from cuda.core.graph import Graph as CoreGraph
    from cuda.core.graph import GraphBuilder


class Pair(cuda.Pair):
    """Two buffers."""

    def __init__(self, stream: Stream, rows: Floats, host: Buffer, device: Buffer) -> None:
        self._stream, self.rows, self._host, self._device = stream, rows, host, device  # the rows belong to `host`
        self.handle = int(device.handle)

    def first(self, people: int) -> Pair:
        """Buffers of the same memory: their sizes say how much is copied."""
        from cuda.core import Buffer

        rows = self.rows[:people]
        host, device = (Buffer.from_handle(b.handle, rows.nbytes, owner=b) for b in (self._host, self._device))
        return Pair(self._stream, rows, host, device)

    def upload(self) -> None:
        """See the contract."""
        self._host.copy_to(self._device, stream=self._stream.ordered)

    def download(self) -> None:
        """See the contract."""
        self._device.copy_to(self._host, stream=self._stream.ordered)


class Graph(cuda.Graph):
    """On the stream that captured it."""

    def __init__(self, graph: CoreGraph, stream: CoreStream) -> None:
        self._graph, self._stream = graph, stream

    def launch(self) -> None:
        """See the contract."""
        self._graph.launch(self._stream)


class Stream(cuda.Stream):
    """With the builder that captures it, while it does."""

    def __init__(self, gpu: CudaCore) -> None:
        self._gpu, self._stream = gpu, gpu.device.create_stream()
        self.ordered: CoreStream | GraphBuilder = self._stream  # what copies are ordered on
        self.handle = int(self._stream.handle)

    def sync(self) -> None:
        """See the contract."""
        self._stream.sync()

    def memory(self, size: int) -> cuda.DeviceMemory:
        """See the contract."""
        buffer = self._gpu.device.allocate(size, stream=self._stream)
        return cuda.DeviceMemory(int(buffer.handle), size, buffer)

    def pair(self, shape: tuple[int, ...]) -> Pair:
        """See the contract."""
        from cuda.core import LegacyPinnedMemoryResource

        size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        host = LegacyPinnedMemoryResource().allocate(size, stream=self._stream)
        # not by DLPack, whose arrays need not be writable
        seen = memoryview((ctypes.c_char * size).from_address(int(host.handle))).cast("B")
        rows = np.frombuffer(seen, np.float32).reshape(shape)
        return Pair(self, rows, host, self._gpu.device.allocate(size, stream=self._stream))

    def capture(self, order: Callable[[], None]) -> Graph:
        """See the contract."""
        builder = self._stream.create_graph_builder()
        builder.begin_building("thread_local")  # what other threads do meanwhile does not break it
        self.ordered = builder
        try:
            order()
        finally:
            self.ordered = self._stream
            builder.end_building()  # whatever happened, or the stream would record for ever
        graph = builder.complete()
        graph.upload(self._stream)
        self._stream.sync()
        return Graph(graph, self._stream)


class CudaCore(cuda.Cuda):
    """Through cuda-core."""

    package = "cuda-core"

    @staticmethod
    def failures() -> tuple[type[Exception], ...]:
        """See the contract."""
        from cuda.core import Device  # noqa: F401  the package itself
        from cuda.core._utils.cuda_utils import CUDAError  # has no public name

        return (CUDAError, RuntimeError)

    def __init__(self) -> None:
        from cuda.core import Device

        self.device = Device(0)
        self.device.set_current()
        self.name, self.arch = self.device.name, self.device.arch

    @contextmanager
    def current(self) -> Iterator[None]:
        """It stays current, as with torch."""
        self.device.set_current()
        yield

    def stream(self) -> Stream:
        """See the contract."""
        return Stream(self)
