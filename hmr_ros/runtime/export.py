"""Networks as ONNX files: one graph each, checked against torch before it is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hmr_ros.errors import AssetError
from hmr_ros.networks.halved import halved
from hmr_ros.runtime.contract import Graph, MakeInputs
from hmr_ros.runtime.model_card import KEY, ModelCard, hashes
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.simplified import simplify
from hmr_ros.runtime.tolerances import FLOAT16, FLOAT32, allowed, beyond, differences
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.runtime.weight_types import fold_halves, load_onnx, store_halves

OPSET = 17  # the first with LayerNormalization, which TensorRT must recognise to keep it in float32
_BATCHES = (1, 3, 8)
_JUDGED, _JUDGED_WINDOWS = 16, 96  # people by whom layers are chosen for float16; windows differ more


def export(graph: Graph, target: Path, make_inputs: MakeInputs, precision: str = FLOAT32) -> ModelCard:
    """Write `graph` to the file `target`; AssetError if ONNX Runtime does not say what torch says in float32.

    With float16 the graph is strongly typed: layers with weights run in it, by casts, and everything else in float32.
    """
    onnx = load_onnx()
    folder, partial = target.parent, target.with_name(f".{target.name}")  # nobody ever sees half a file
    made_with = {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__}
    card = ModelCard(graph.signature, graph.settings, OPSET, hashes(graph.sources), {}, made_with, precision)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise AssetError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from error
    try:
        typed = (
            replace(graph, module=halved(graph.module, _judge(graph, make_inputs))) if precision == FLOAT16 else graph
        )
        _trace(typed, partial, make_inputs)
        model = onnx.load(str(partial))
        simplify(onnx, model)
        if precision == FLOAT16:
            fold_halves(onnx, model)
        else:
            store_halves(onnx, model)
        _save(onnx, model, card, partial)
        card = replace(card, max_error=_errors(graph, partial, make_inputs, precision))
        _save(onnx, model, card, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return card


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


def _save(onnx: Any, model: Any, card: ModelCard, path: Path) -> None:
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _judge(graph: Graph, make_inputs: MakeInputs) -> Callable[[nn.Module], float]:
    """How far a module is from that of the graph, 1 where an output is as far as float16 may be."""
    people = _JUDGED_WINDOWS if "present" in graph.signature.inputs else _JUDGED
    given = make_inputs(graph.signature, people, 100)
    expected = TorchEngine(graph)(given)

    def error(module: nn.Module) -> float:
        errors = differences(expected, TorchEngine(replace(graph, module=module))(given))
        return max(error / allowed(name, expected, FLOAT16) for name, error in errors.items())

    return error


def _errors(graph: Graph, path: Path, make_inputs: MakeInputs, precision: str) -> dict[str, float]:
    """Largest difference to torch in float32 for each output, over several batch sizes."""
    exported = OnnxRuntimeEngine(path, graph.signature.network, threads=1, as_written=precision == FLOAT16)
    original = TorchEngine(graph)
    worst = dict.fromkeys(graph.signature.outputs, 0.0)
    for seed, count in enumerate(_BATCHES):
        given = make_inputs(graph.signature, count, seed)
        expected, found = original(given), exported(given)
        errors = differences(expected, found)
        if problem := beyond(errors, expected, precision):
            raise AssetError(
                f"the exported '{graph.signature.network}' ({precision}) differs from torch {problem} for {count}"
                " people; use the versions of torch and onnxruntime in requirements.txt, or --precision fp32"
            )
        worst = {name: max(worst[name], error) for name, error in errors.items()}
    return worst
