"""Which engine runs a network, and why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine, Graph, MakeInputs
from hmr_ros.runtime.faster_on_gpu import on_gpu
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine

if TYPE_CHECKING:
    from hmr_ros.runtime.gpu import Gpu


@dataclass(frozen=True)
class EngineRequest:
    """What shall be run, and where it may be found."""

    network: str
    settings: dict[str, int]  # baked into the graph, e.g. steps
    file: str  # name of the exported graph
    half_file: str  # the same with products in float16, which TensorRT prefers
    command: str  # that makes this file
    folders: tuple[Path, ...]  # of exported graphs, in order of preference; TensorRT plans lie in the last one
    weights: Path  # folder of the installed weights
    threads: int
    graph: Callable[[], Graph]  # the network in torch; ModuleNotFoundError where torch is missing
    make_inputs: MakeInputs


@dataclass(frozen=True)
class EngineSelection:
    """An engine and why it was taken."""

    engine: Engine
    reason: str


def select(engine: str, request: EngineRequest) -> EngineSelection:
    """The engine of that name, or for `auto` the first that can run. AssetError with the cure if there is none."""
    if engine != "auto":
        return _ENGINES[engine](request, f"engine: {engine}")
    try:
        return _onnxruntime(request, "auto: its file belongs to the weights and it needs no torch")
    except AssetError as error:
        why = str(error)
    try:
        return _torch(request, f"auto: {why}")
    except AssetError as error:
        raise AssetError(f"{why}; {error}") from error


def exported(request: EngineRequest) -> OnnxRuntimeEngine:
    """The first exported graph that belongs to the weights that are installed, on the CPU; AssetError if there is
    none."""
    said = []
    for path in (folder / request.file for folder in request.folders):
        if not path.is_file():
            continue
        try:
            engine = OnnxRuntimeEngine(path, request.network, request.threads)
        except AssetError as error:
            said.append(str(error))
            continue
        outdated = engine.card.outdated(request.weights)
        wrong = [name for name, value in request.settings.items() if engine.card.settings.get(name) != value]
        if not outdated and not wrong:
            return engine
        other = " and ".join(outdated or wrong)
        said.append(f"{request.file} was made from other {other}; make it again with: {request.command}")
    baked = ", ".join(f"{value} {name}" for name, value in request.settings.items())
    raise AssetError(said[0] if said else f"no ONNX file for {baked} ({request.file}); make it with: {request.command}")


def _onnxruntime(request: EngineRequest, reason: str) -> EngineSelection:
    engine, where = on_gpu(exported(request), request.make_inputs)
    return EngineSelection(engine, f"{reason}; {where}" if where else reason)


def _torch(request: EngineRequest, reason: str) -> EngineSelection:
    try:
        import torch

        from hmr_ros.runtime.torch import TorchEngine
        from hmr_ros.runtime.torch import on_gpu as torch_on_gpu

        graph = request.graph()
    except ModuleNotFoundError as error:
        raise AssetError(
            f"engine 'torch' needs {error.name}: pip install {error.name}, or use 'onnxruntime', or recover 'kinematic'"
        ) from error
    torch.set_num_threads(request.threads)
    return EngineSelection(torch_on_gpu(TorchEngine(graph), request.make_inputs), reason)


def _tensorrt(request: EngineRequest, reason: str) -> EngineSelection:
    from hmr_ros.runtime.gpu import open_gpu
    from hmr_ros.runtime.tensorrt import TensorRtEngine

    gpu = open_gpu()
    return EngineSelection(TensorRtEngine(tensorrt_plan(request, gpu), request.network, gpu), reason)


def tensorrt_plan(request: EngineRequest, gpu: Gpu) -> Path:
    """The plan for this GPU, of the float16 graph if there is one; AssetError if there is none."""
    from hmr_ros.runtime.tensorrt import find_plan

    graphs = []  # a plan's name has the hash of its graph
    with suppress(AssetError):
        graphs.append(exported(replace(request, file=request.half_file)).path)
    try:
        graphs.append(exported(request).path)
    except AssetError:
        if not graphs:
            raise
    return find_plan(graphs, request.folders[-1], gpu)


_ENGINES: dict[str, Callable[[EngineRequest, str], EngineSelection]] = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "tensorrt": _tensorrt,
}
