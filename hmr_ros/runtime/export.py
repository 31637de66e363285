"""Networks as ONNX files: one graph each, checked against torch before it is written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Arrays, Graph, MakeInputs
from hmr_ros.runtime.model_card import KEY, ModelCard, hashes
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.torch import TorchEngine

OPSET = 17  # the first with LayerNormalization, which TensorRT must recognise to keep it in float32
TOLERANCE = 1e-4  # relative to the largest value of an output
_BATCHES = (1, 3, 8)
_SMALL = 256  # numbers; smaller tensors stay as they are


def export(graph: Graph, target: Path, make_inputs: MakeInputs) -> ModelCard:
    """Write `graph` to the file `target`; AssetError if ONNX Runtime does not say what torch says."""
    onnx = _onnx()
    folder, partial = target.parent, target.with_name(f".{target.name}")  # nobody ever sees half a file
    made_with = {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__}
    card = ModelCard(graph.signature, graph.settings, OPSET, hashes(graph.sources), {}, made_with)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise AssetError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from error
    try:
        _trace(graph, partial, make_inputs)
        model = onnx.load(str(partial))
        _store_halves(onnx, model)
        _save(onnx, model, card, partial)
        card = replace(card, max_error=_errors(graph, partial, make_inputs))
        _save(onnx, model, card, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return card


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise AssetError("hmr export needs onnx: pip install onnx") from error
    return onnx


def _trace(graph: Graph, path: Path, make_inputs: MakeInputs) -> None:
    """The traced exporter: it needs no further package and keeps LayerNormalization whole."""
    given = make_inputs(graph.signature, 2, 0)
    names = [*graph.signature.inputs, *graph.signature.outputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about Python loops over layers and steps, which are meant to be unrolled
        torch.onnx.export(
            graph.module.eval(), tuple(torch.as_tensor(given[n]) for n in graph.signature.inputs), str(path),
            dynamo=False, opset_version=OPSET, input_names=list(graph.signature.inputs),
            output_names=list(graph.signature.outputs), dynamic_axes={name: {0: "people"} for name in names},
        )  # fmt: skip


def _store_halves(onnx: Any, model: Any) -> None:
    """Keep in float16 what loses nothing by it, which are the weights: they are float16 on disk already."""
    casts = []
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if array.dtype != np.float32 or array.size < _SMALL or not np.array_equal(half.astype(np.float32), array):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _save(onnx: Any, model: Any, card: ModelCard, path: Path) -> None:
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _errors(graph: Graph, path: Path, make_inputs: MakeInputs) -> dict[str, float]:
    """Largest difference to torch for each output, over several batch sizes."""
    exported = OnnxRuntimeEngine(path, graph.signature.network, threads=1, cpu_only=True)
    original = TorchEngine(graph)
    worst = dict.fromkeys(graph.signature.outputs, 0.0)
    for seed, count in enumerate(_BATCHES):
        given = make_inputs(graph.signature, count, seed)
        expected, found = original(given), exported(given)
        for name, relative in relative_errors(expected, found).items():
            if not relative <= TOLERANCE:
                raise AssetError(
                    f"the exported '{graph.signature.network}' differs from torch by {relative:.1e} in {name} (batch"
                    f" {count}); use the versions of torch and onnxruntime in requirements.txt"
                )
            worst[name] = max(worst[name], float(np.abs(expected[name] - found[name]).max()))
    return worst


def relative_errors(expected: Arrays, found: Arrays) -> dict[str, float]:
    """Largest difference of each output over its largest value; infinite where something is not finite."""
    errors = {}
    for name, array in expected.items():
        difference = np.abs(array - found[name]).max() / max(float(np.abs(array).max()), 1e-9)
        errors[name] = float(difference) if np.isfinite(difference) else float("inf")
    return errors
