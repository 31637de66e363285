"""TensorFlow Lite models on the CPU through LiteRT."""

from __future__ import annotations

import logging
import os
import struct
from pathlib import Path

import numpy as np

from hmr_ros.errors import AssetError
from hmr_ros.types import Floats

_log = logging.getLogger(__name__)


class LiteRtModel:
    """One .tflite model with a single input; outputs by name. Not safe to call from several threads at once.

    Outputs named in `without` are cut off, and what only they need is not computed. Tensors inside the model named in
    `inner` are given out too, where there are such. `content`: the model itself where it was made from `path` and is
    not in a file of its own (`runtime.tfjs`).
    """

    def __init__(
        self, path: Path, threads: int, without: frozenset[str] = frozenset(), content: bytes | None = None,
        inner: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the delegate announces itself on every start
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise AssetError("package ai-edge-litert is missing; run: pip install ai-edge-litert") from error
        try:
            model = _with_outputs(path.read_bytes() if content is None else content, without, inner)
            self._interpreter = Interpreter(model_content=model, num_threads=max(1, threads))
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError, struct.error) as error:
            raise AssetError(f"{path} is not a usable model ({error}); delete it and run `hmr models fetch`") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self.input_shape: tuple[int, ...] = tuple(self._interpreter.get_input_details()[0]["shape"])
        self._outputs = {d["name"]: d["index"] for d in self._interpreter.get_output_details()}

    def __call__(self, batch: Floats) -> dict[str, Floats]:
        """Run on float32 `batch` of `input_shape`; copies of all outputs by name."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(batch, np.float32))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def _with_outputs(model: bytes, without: frozenset[str], inner: frozenset[str]) -> bytes:
    """The model with other outputs; operators that nothing else needs are dropped by the delegate."""
    if not without | inner:
        return model
    try:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:  # a build of LiteRT without its schema
        if inner:
            _log.warning("this build of ai-edge-litert has no schema: the limb network has nothing to read")
        return model
    parsed = schema.ModelT.InitFromPackedBuf(model)
    graph = parsed.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    given = [k for k in graph.outputs if names[k] not in without]
    graph.outputs = given + [k for k, name in enumerate(names) if name in inner and k not in given]
    if inner:
        parsed.signatureDefs = []  # they name the old outputs
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())
