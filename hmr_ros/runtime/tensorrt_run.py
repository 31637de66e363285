"""A TensorRT plan for a fixed number of people: an execution context and the CUDA graph of it.

NVIDIA, "Optimizing TensorRT Performance", CUDA graphs: a graph belongs to the shapes and to the state of the context
that it was captured from, so each has a context of its own; these share the memory they work in, for they never run at
once. After its shapes are set a context runs once before it is captured.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Signature
from hmr_ros.runtime.gpu import Gpu, said
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from cuda.core import Buffer, Stream
    from cuda.core.graph import Graph, GraphBuilder
    from tensorrt import ICudaEngine, IExecutionContext

_TIMED = 5  # runs of which the shortest is reported


@dataclass(frozen=True)
class Pair:
    """A tensor's rows in page-locked memory and on the GPU."""

    rows: Floats  # what the CPU reads and writes; belongs to `host`
    host: Buffer
    device: Buffer

    def first(self, people: int) -> Pair:
        """The same memory for fewer people, so that no more than these are copied."""
        from cuda.core import Buffer

        rows = self.rows[:people]
        host, device = (Buffer.from_handle(b.handle, rows.nbytes, owner=b) for b in (self.host, self.device))
        return Pair(rows, host, device)


class Memory:
    """What all contexts of a plan share: inputs and outputs, and the memory to work in."""

    def __init__(self, gpu: Gpu, engine: ICudaEngine, signature: Signature, people: int) -> None:
        """Room for so many people. AssetError where the plan's tensors are not those of the signature, in float32."""
        from tensorrt import DataType

        sizes = signature.inputs | signature.outputs
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        strange = [n for n in names if engine.get_tensor_dtype(n) != DataType.FLOAT]
        if set(names) != set(sizes) or strange:
            raise AssetError(
                f"the plan has the tensors {', '.join(names)} ({len(strange)} not in float32); build it again:"
                f" hmr build-engine --network {signature.network}"
            )
        self.stream = gpu.device.create_stream()
        self.pairs = {name: _pair(gpu, self.stream, (people, *size)) for name, size in sizes.items()}
        self.work = gpu.device.allocate(max(engine.device_memory_size_v2, 1), stream=self.stream)
        self.stream.sync()


def _pair(gpu: Gpu, stream: Stream, shape: tuple[int, ...]) -> Pair:
    from cuda.core import LegacyPinnedMemoryResource

    bytes_ = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    host = LegacyPinnedMemoryResource().allocate(bytes_, stream=stream)
    seen = memoryview((ctypes.c_char * bytes_).from_address(int(host.handle))).cast("B")  # DLPack need not be writable
    return Pair(np.frombuffer(seen, np.float32).reshape(shape), host, gpu.device.allocate(bytes_, stream=stream))


class Run:
    """Answers of one number of people."""

    def __init__(self, engine: ICudaEngine, memory: Memory, signature: Signature, people: int) -> None:
        """Runs once, and captures. AssetError where the context cannot be made or run."""
        from tensorrt import ExecutionContextAllocationStrategy

        self._signature, self._memory, self.people = signature, memory, people  # the context does not own its memory
        self._stream = memory.stream
        self._pairs = {name: pair.first(people) for name, pair in memory.pairs.items()}
        context = engine.create_execution_context(ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise AssetError(f"the GPU has no memory for {people} people; free some, or use engine 'auto'")
        self._context: IExecutionContext = context
        context.set_device_memory(memory.work.handle, memory.work.size)
        self._bind()
        self.graph: Graph | None = None
        self._launch()
        self.plain_s = self._seconds()  # of a run whose kernels are launched one by one
        self.graph, self.refusal = self._captured()  # why there is no graph
        self.seconds = self._seconds()  # of a run, with the graph if there is one

    def __call__(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        """`inputs` of the signature, for just as many people."""
        for name, array in inputs.items():
            self._pairs[name].rows[:] = array
        self._launch()
        return {name: self._pairs[name].rows.copy() for name in self._signature.outputs}

    def _bind(self) -> None:
        refused = [n for n, p in self._pairs.items() if not self._context.set_tensor_address(n, p.device.handle)]
        for name, size in self._signature.inputs.items():
            if not self._context.set_input_shape(name, (self.people, *size)):
                refused.append(name)
        if refused:
            raise AssetError(
                f"the plan refuses {', '.join(refused)} of {self.people} people; build it again: hmr build-engine"
                f" --network {self._signature.network}"
            )

    def _launch(self) -> None:
        """Copies, kernels and copies back, to their end."""
        if self.graph is None:
            self._enqueue(self._stream)
        else:
            self.graph.launch(self._stream)
        self._stream.sync()

    def _enqueue(self, order: Stream | GraphBuilder) -> None:
        for name in self._signature.inputs:
            self._pairs[name].host.copy_to(self._pairs[name].device, stream=order)
        if not self._context.execute_async_v3(int(self._stream.handle)):
            raise AssetError(
                f"TensorRT failed on {self.people} people, its log says why; build the plan again: hmr build-engine"
                f" --network {self._signature.network}"
            )
        for name in self._signature.outputs:
            self._pairs[name].device.copy_to(self._pairs[name].host, stream=order)

    def _captured(self) -> tuple[Graph | None, str]:
        """The graph, or why there is none: then the kernels are launched one by one."""
        from cuda.core._utils.cuda_utils import CUDAError

        try:
            builder = self._stream.create_graph_builder()
            builder.begin_building("thread_local")  # what other threads do meanwhile does not break it
            try:
                self._enqueue(builder)
            finally:
                builder.end_building()  # whatever happened, or the stream would record for ever
            graph = builder.complete()
            graph.upload(self._stream)
            self._stream.sync()
        except (CUDAError, RuntimeError, AssetError) as error:
            return None, said(error)
        return graph, ""

    def _seconds(self) -> float:
        """The shortest of some runs."""
        found = []
        for _ in range(_TIMED):
            start = perf_counter()
            self._launch()
            found.append(perf_counter() - start)
        return min(found)
