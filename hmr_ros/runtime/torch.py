"""Networks in torch, from the weights themselves: on the CPU, or on a CUDA device with a CUDA graph a batch size.

CUDA is unverified: it has not run on a GPU.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmr_ros.runtime.contract import Engine, Graph, MakeInputs
from hmr_ros.types import Floats


class TorchEngine(Engine):
    """A network on the CPU."""

    kind = "torch"

    def __init__(self, graph: Graph) -> None:
        self.module = graph.module.eval()
        super().__init__(graph.signature, "cpu", "float32")

    @torch.inference_mode()
    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        answer = self.module(*(torch.as_tensor(inputs[name]) for name in self.signature.inputs))
        answers = answer if isinstance(answer, tuple) else (answer,)
        return {name: a.numpy() for name, a in zip(self.signature.outputs, answers, strict=True)}


_WARM_UP = 3  # runs on a side stream before a capture, as torch asks for
_TOLERANCE = 1e-2  # relative to the largest value of an output; TF32 is left to torch's default


@dataclass(frozen=True)
class _Captured:
    """A graph and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class TorchCudaEngine(Engine):
    """A `TorchEngine` on the first CUDA device. What cannot be captured runs step by step."""

    kind = "torch"
    max_batch = 8

    def __init__(self, original: TorchEngine) -> None:
        self.module = copy.deepcopy(original.module).to("cuda").eval()
        self._captured: dict[int, _Captured | None] = {}  # None: that many people cannot be captured
        super().__init__(original.signature, torch.cuda.get_device_name(), "float32")

    @torch.inference_mode()
    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        given = [torch.as_tensor(inputs[name]) for name in self.signature.inputs]
        count = len(given[0])
        with torch.device("cuda"):  # modules make small constants as they go
            if count not in self._captured:
                self._captured[count] = self._capture([g.to("cuda") for g in given])
            captured = self._captured[count]
            if captured is None:
                answers = self._answers([g.to("cuda") for g in given])
            else:
                for place, new in zip(captured.inputs, given, strict=True):
                    place.copy_(new)
                captured.graph.replay()
                answers = captured.outputs
        return {name: a.cpu().numpy() for name, a in zip(self.signature.outputs, answers, strict=True)}

    def _answers(self, given: list[Tensor]) -> tuple[Tensor, ...]:
        answer = self.module(*given)
        return answer if isinstance(answer, tuple) else (answer,)

    def _capture(self, given: list[Tensor]) -> _Captured | None:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._answers(given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            # another thread may run a network of its own meanwhile
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                outputs = self._answers(given)
        except RuntimeError:  # something inside waits for the host
            torch.cuda.synchronize()
            return None
        return _Captured(graph, given, outputs)


def on_gpu(engine: TorchEngine, make_inputs: MakeInputs) -> Engine:
    """The network on the GPU if there is one that says the same, else `engine` itself."""
    if not torch.cuda.is_available():
        return engine
    try:
        there = TorchCudaEngine(engine)
        return there if agrees(there, engine, make_inputs) else engine
    except RuntimeError:
        return engine


def agrees(there: Engine, here: Engine, make_inputs: MakeInputs) -> bool:
    """Whether both say the same of plausible people, one and several, asked twice."""
    for count in (1, 3, 1):
        given = make_inputs(here.signature, count, count)
        found, expected = there(given), here(given)
        for name, array in expected.items():
            if not np.abs(found[name] - array).max() <= _TOLERANCE * max(float(np.abs(array).max()), 1e-9):
                return False
    return True
