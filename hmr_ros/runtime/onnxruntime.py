"""ONNX files on the CPU, or on an NVIDIA GPU where the installed ONNX Runtime has the CUDA provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.model_card import read_card
from hmr_ros.runtime.weight_types import rounded_as_written
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_CUDA_OPTIONS = {"device_id": "0", "use_tf32": "0"}  # float32 means float32


class OnnxRuntimeEngine(Engine):
    """One file of `hmr export`."""

    kind = "onnxruntime"

    def __init__(self, path: Path, network: str, threads: int, *, cuda: bool = False, as_written: bool = False) -> None:
        """`cuda`: on the first GPU; `as_written`: what is float16 in the graph is rounded to it.

        AssetError where the package, the file or the GPU is missing or the file is another network's."""
        self.path, self.threads = path, threads
        providers: list[str | tuple[str, dict[Any, Any]]] = [(CUDA, _CUDA_OPTIONS), _CPU] if cuda else [_CPU]
        there = available_providers()
        if cuda and CUDA not in there:
            raise AssetError("this ONNX Runtime has no CUDA provider: pip install onnxruntime-gpu")
        import onnxruntime as runtime

        if not path.is_file():
            raise AssetError(f"no ONNX file {path.name}; make it with: hmr export {network}")
        options = _options(threads)
        if as_written:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            model = rounded_as_written(path) if as_written else str(path)
            self._session = runtime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # the runtime's exceptions have no common base
            said = " ".join(str(error).split())[:120]
            raise AssetError(f"cannot read {path.name} ({said}); make it again with: hmr export {network}") from error
        self.card = read_card(self._session.get_modelmeta().custom_metadata_map, path, network)
        if cuda and self._session.get_providers()[0] != CUDA:  # it goes on with the CPU and says so in its log only
            raise AssetError("ONNX Runtime's CUDA provider does not start: its CUDA or cuDNN is not there")
        super().__init__(self.card.signature, "cuda" if cuda else "cpu", "float32")

    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        names = list(self.signature.outputs)
        return dict(zip(names, self._session.run(names, inputs), strict=True))


def available_providers() -> list[str]:
    """Of the installed ONNX Runtime; AssetError without it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise AssetError("engine 'onnxruntime' needs onnxruntime: pip install onnxruntime, or use 'torch'") from error
    return onnxruntime.get_available_providers()


def _options(threads: int) -> SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for pool in ("intra", "inter"):  # waiting threads would take the cores from the detector and the landmarks
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    return options
