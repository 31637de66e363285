"""Weights of BlazePose's `full` as a start for the trunk: read from the published .tflite, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hmr_ros.errors import AssetError
from hmr_ros.networks.trunk import Trunk
from hmr_ros.perception.landmarks import FEATURE_MAP
from hmr_ros.types import Floats

LAST = "model_1/model/re_lu_63/Relu6;model_1/model/add_22/add"  # the 2x2x288 features that landmarks are read from


def start_from_blazepose(trunk: Trunk, model: Path) -> None:
    """Copy the convolutions between the map `FEATURE_MAP` of `model` and its last features into `trunk`; AssetError if
    it is another network."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise AssetError("this build of ai-edge-litert has no schema; run: pip install ai-edge-litert") from error
    parsed = schema.ModelT.InitFromPackedBuf(model.read_bytes())
    graph = parsed.subgraphs[0]
    names = [t.name.decode() for t in graph.tensors]
    kinds = {schema.BuiltinOperator.CONV_2D: (0, 3, 1, 2), schema.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2)}
    layers = trunk.convolutions()
    between = _between(graph, names.index(FEATURE_MAP), names.index(LAST)) if {FEATURE_MAP, LAST} <= {*names} else []
    found = [(o, kinds[k]) for o in between if (k := _kind(parsed, o)) in kinds]
    if len(found) != len(layers):
        raise AssetError(f"{model} is not the landmark network `full`; run `hmr models fetch`")
    for layer, (operator, axes) in zip(layers, found, strict=True):
        weight, bias = (_constant(parsed, int(operator.inputs[k])) for k in (1, 2))
        _copy(layer, np.transpose(weight, axes), bias)


def _between(graph: Any, first: int, last: int) -> list[Any]:
    """Operators that compute the tensor `last` from the tensor `first`, in their order."""
    made_by = {int(output): k for k, operator in enumerate(graph.operators) for output in operator.outputs}
    wanted, found = [last], set()
    while wanted:
        tensor = wanted.pop()
        if tensor != first and tensor in made_by and made_by[tensor] not in found:
            found.add(made_by[tensor])
            wanted += map(int, graph.operators[made_by[tensor]].inputs)
    return [graph.operators[k] for k in sorted(found)]


def _kind(parsed: Any, operator: Any) -> int:
    code = parsed.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _constant(parsed: Any, tensor: int) -> Floats:
    """A constant, which may be stored as float16 and turned into float32 by an operator."""
    graph = parsed.subgraphs[0]
    makers = (o for o in graph.operators if tensor in map(int, o.outputs))
    stored = graph.tensors[next((int(o.inputs[0]) for o in makers), tensor)]
    raw = bytes(parsed.buffers[stored.buffer].data)
    dtype = np.float16 if len(raw) == 2 * int(np.prod(stored.shape)) else np.float32
    return np.frombuffer(raw, dtype).reshape(stored.shape).astype(np.float32)


@torch.no_grad()
def _copy(layer: nn.Conv2d, weight: Floats, bias: Floats) -> None:
    assert layer.bias is not None
    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
    layer.bias.copy_(torch.from_numpy(bias))
