"""TensorRT plans on an NVIDIA GPU, with pycuda; `hmr build-engine` makes them (runtime/tensorrt_build.py).

Written against the Python interfaces of TensorRT 10 and 11. It has not run on a GPU yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.model_card import KEY, ModelCard, file_hash, read_card
from hmr_ros.runtime.tolerances import FLOAT16
from hmr_ros.types import Floats

MAX_PEOPLE = 8  # of the optimisation profile; more are answered in several runs
_VERSIONS = (10, 11)


@dataclass(frozen=True)
class Gpu:
    """TensorRT, CUDA and the first GPU, ready for use."""

    trt: Any
    cuda: Any
    context: Any  # CUDA's primary context, the one that torch and ONNX Runtime use as well
    name: str  # with the compute capability

    @contextmanager
    def current(self) -> Iterator[None]:
        """The GPU's context belongs to a thread only for as long as it works: the node computes in a worker."""
        self.context.push()
        try:
            yield
        except self.cuda.Error as error:
            said = " ".join(str(error).split())
            raise AssetError(f"the GPU {self.name} failed ({said}); free its memory, or use engine 'auto'") from error
        finally:
            self.context.pop()


def open_gpu() -> Gpu:
    """AssetError with the cure where TensorRT 10 or 11, pycuda or the GPU is missing."""
    try:
        import tensorrt
    except ImportError as error:
        raise AssetError("engine 'tensorrt' needs tensorrt: pip install 'tensorrt>=10,<12', or use 'auto'") from error
    version = str(tensorrt.__version__)
    if int(version.split(".", maxsplit=1)[0]) not in _VERSIONS:
        raise AssetError(f"engine 'tensorrt' needs TensorRT 10 or 11, not {version}: pip install 'tensorrt>=10,<12'")
    try:
        import pycuda.driver as cuda
    except ImportError as error:
        raise AssetError("engine 'tensorrt' needs pycuda: pip install pycuda, or use 'auto'") from error
    try:
        cuda.init()
        device = cuda.Device(0)
        name = "{}-sm{}{}".format(device.name(), *device.compute_capability())
        return Gpu(tensorrt, cuda, device.retain_primary_context(), name)
    except cuda.Error as error:
        raise AssetError(f"engine 'tensorrt' finds no usable NVIDIA GPU ({error}); use 'auto'") from error


def plan_file(onnx: Path, trt_version: str, gpu: str) -> str:
    """Name of the plan: a plan runs only for the graph, TensorRT and GPU that it was built for."""
    where = re.sub(r"[^A-Za-z0-9]+", "-", gpu).strip("-").lower()
    return f"{onnx.stem}.{file_hash(onnx)[:12]}.trt{trt_version}.{where}.plan"


def find_plan(graphs: list[Path], folder: Path, gpu: Gpu) -> Path:
    """The plan of the first of these exported graphs that has one for this machine; AssetError if none has."""
    names = [plan_file(onnx, gpu.trt.__version__, gpu.name) for onnx in graphs]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise AssetError(f"no TensorRT plan {names[0]}; build it on this machine with: hmr build-engine {graphs[0]}")


class TensorRtEngine(Engine):
    """One plan with its card beside it (`NAME.plan.json`)."""

    kind = "tensorrt"
    max_batch = MAX_PEOPLE

    def __init__(self, plan: Path, network: str, gpu: Gpu) -> None:
        """AssetError where the plan or its card cannot be used."""
        self.card = _read_plan_card(plan, network)
        self._gpu, trt = gpu, gpu.trt
        with gpu.current():
            self._logger = trt.Logger(trt.Logger.WARNING)
            self._runtime = trt.Runtime(self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
            if self._engine is None:
                raise AssetError(f"TensorRT cannot read {plan.name}; delete it and build it again: hmr build-engine")
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise AssetError(f"the GPU {gpu.name} has no memory for {plan.name}; free some, or use engine 'auto'")
            self._stream = gpu.cuda.Stream()
            self._host, self._device = self._buffers()
        super().__init__(
            self.card.signature, f"cuda ({gpu.name})", "float16" if self.card.precision == FLOAT16 else "float32"
        )

    def _buffers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Page-locked and device memory of every input and output, for the most people."""
        trt, cuda = self._gpu.trt, self._gpu.cuda
        sizes = self.card.signature.inputs | self.card.signature.outputs
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        if set(names) != set(sizes):
            raise AssetError(f"the plan has the tensors {', '.join(names)}; build it again: hmr build-engine")
        host, device = {}, {}
        for name in names:
            shape = (MAX_PEOPLE, *sizes[name])
            host[name] = cuda.pagelocked_empty(shape, trt.nptype(self._engine.get_tensor_dtype(name)))
            device[name] = cuda.mem_alloc(host[name].nbytes)
            self._context.set_tensor_address(name, int(device[name]))
        return host, device

    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        cuda, stream = self._gpu.cuda, self._stream
        count = len(next(iter(inputs.values())))
        with self._gpu.current():
            for name, array in inputs.items():
                self._host[name][:count] = array
                if not self._context.set_input_shape(name, array.shape):
                    raise AssetError(f"the plan refuses {name} of {array.shape}; build it again: hmr build-engine")
                cuda.memcpy_htod_async(self._device[name], self._host[name][:count], stream)
            if not self._context.execute_async_v3(stream_handle=stream.handle):
                raise AssetError(f"TensorRT failed on {count} people; build the plan again: hmr build-engine")
            for name in self.signature.outputs:
                cuda.memcpy_dtoh_async(self._host[name][:count], self._device[name], stream)
            stream.synchronize()
        return {name: np.array(self._host[name][:count], np.float32) for name in self.signature.outputs}


def write_plan(plan: Path, content: bytes, card: ModelCard) -> None:
    """The plan and its card."""
    card_file(plan).write_text(card.to_json(), encoding="utf-8")
    plan.write_bytes(content)


def card_file(plan: Path) -> Path:
    """Where the card of a plan lies."""
    return plan.with_name(plan.name + ".json")


def _read_plan_card(plan: Path, network: str) -> ModelCard:
    try:
        text = card_file(plan).read_text(encoding="utf-8")
    except OSError as error:
        raise AssetError(f"{card_file(plan).name} is missing; build the plan again: hmr build-engine") from error
    return read_card({KEY: text}, plan, network)
