"""ONNX files on the CPU, or on an NVIDIA GPU where the installed ONNX Runtime has the CUDA provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.model_card import read_card
from hmr_ros.types import Floats

_PROVIDERS = {"CUDAExecutionProvider": "cuda", "CPUExecutionProvider": "cpu"}  # in order of preference


class OnnxRuntimeEngine(Engine):
    """One file of `hmr export`."""

    kind = "onnxruntime"

    def __init__(
        self, path: Path, network: str, threads: int, *, cpu_only: bool = False, as_written: bool = False
    ) -> None:
        """`as_written`: no node is fused or left out, so that casts round as the graph says. AssetError where the
        package or the file is missing or the file is another network's."""
        runtime = _runtime()
        self.path = path
        if not path.is_file():
            raise AssetError(f"no ONNX file {path.name}; make it with: hmr export {network}")
        wanted = ["CPUExecutionProvider"] if cpu_only else list(_PROVIDERS)
        providers = [p for p in wanted if p in runtime.get_available_providers()]
        options = _options(runtime, threads)
        if as_written:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # the runtime's exceptions have no common base
            said = " ".join(str(error).split())[:120]
            raise AssetError(f"cannot read {path.name} ({said}); make it again with: hmr export {network}") from error
        self.card = read_card(self._session.get_modelmeta().custom_metadata_map, path, network)
        super().__init__(self.card.signature, _PROVIDERS[self._session.get_providers()[0]], "float32")

    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        names = list(self.signature.outputs)
        return dict(zip(names, self._session.run(names, inputs), strict=True))


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise AssetError("engine 'onnxruntime' needs onnxruntime: pip install onnxruntime, or use 'torch'") from error
    return onnxruntime


def _options(runtime: Any, threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for pool in ("intra", "inter"):  # waiting threads would take the cores from the detector and the landmarks
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    return options
