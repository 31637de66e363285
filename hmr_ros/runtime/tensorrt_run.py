"""A TensorRT plan for a fixed number of people: an execution context and the CUDA graph of it.

NVIDIA, "Optimizing TensorRT Performance", CUDA graphs: a graph belongs to the shapes and to the state of the context
that it was captured from, so each has a context of its own; these share the memory they work in, for they never run at
once. After its shapes are set a context runs once before it is captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Signature
from hmr_ros.runtime.cuda import Graph
from hmr_ros.runtime.gpu import Gpu, said
from hmr_ros.runtime.timing import shortest_s
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from tensorrt import ICudaEngine, IExecutionContext


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
        self.stream = gpu.cuda.stream()
        self.no_graph: tuple[type[Exception], ...] = (*gpu.cuda.failures(), AssetError)  # what says so
        self.pairs = {name: self.stream.pair((people, *size)) for name, size in sizes.items()}
        self.work = self.stream.memory(max(engine.device_memory_size_v2, 1))
        self.stream.sync()


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
        self.plain_s = shortest_s(self._launch)  # of a run whose kernels are launched one by one
        self.graph, self.refusal = self._captured()  # why there is no graph
        self.seconds = self.plain_s if self.graph is None else shortest_s(self._launch)  # of a run as it will be

    def __call__(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        """`inputs` of the signature, for just as many people."""
        for name, array in inputs.items():
            self._pairs[name].rows[:] = array
        self._launch()
        return {name: self._pairs[name].rows.copy() for name in self._signature.outputs}

    def _bind(self) -> None:
        refused = [n for n, p in self._pairs.items() if not self._context.set_tensor_address(n, p.handle)]
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
            self._enqueue()
        else:
            self.graph.launch()
        self._stream.sync()

    def _enqueue(self) -> None:
        for name in self._signature.inputs:
            self._pairs[name].upload()
        if not self._context.execute_async_v3(self._stream.handle):
            raise AssetError(
                f"TensorRT failed on {self.people} people, its log says why; build the plan again: hmr build-engine"
                f" --network {self._signature.network}"
            )
        for name in self._signature.outputs:
            self._pairs[name].download()

    def _captured(self) -> tuple[Graph | None, str]:
        """The graph, or why there is none: then the kernels are launched one by one."""
        try:
            return self._stream.capture(self._enqueue), ""
        except self._memory.no_graph as error:
            return None, said(error)
