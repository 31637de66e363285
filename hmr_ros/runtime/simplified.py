"""What an exporter writes and no engine needs: constants computed, equal nodes joined, dead ones gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmr_ros.types import Floats

_LARGEST = 1 << 16  # numbers; a larger constant is cheaper to compute than to store


def simplify(onnx: Any, model: Any) -> None:
    """Rewrite the graph of `model`: the same outputs from fewer nodes, for every batch size."""
    graph, kept = model.graph, []
    constants = {tensor.name: tensor for tensor in graph.initializer}
    first: dict[tuple[str, ...], list[str]] = {}  # outputs of the first node or constant that is the same
    same: dict[str, str] = {}  # later names -> earlier ones
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        value = _value(onnx, node, constants, model.opset_import)
        if value is not None:
            constants[node.output[0]] = onnx.numpy_helper.from_array(value, node.output[0])
            key = ("", str(value.dtype), str(value.shape), value.tobytes().hex())
        else:
            attributes = sorted(a.SerializeToString().hex() for a in node.attribute)
            key = (node.domain, node.op_type, str(len(node.output)), *attributes, "of", *node.input)
        earlier = first.setdefault(key, list(node.output))
        if earlier != list(node.output):
            same.update(zip(node.output, earlier, strict=True))
        elif value is None:
            kept.append(node)
    outputs = [output.name for output in graph.output if output.name in same]
    kept += [onnx.helper.make_node("Identity", [same[name]], [name]) for name in outputs]
    _write(graph, kept, {name: tensor for name, tensor in constants.items() if name not in same})


def _value(onnx: Any, node: Any, constants: dict[str, Any], opsets: Any) -> Floats | None:
    """What the node always gives, or None."""
    given = [name for name in dict.fromkeys(node.input) if name]
    if len(node.output) != 1 or not all(name in constants for name in given):
        return None
    output = onnx.helper.make_empty_tensor_value_info(node.output[0])
    alone = onnx.helper.make_graph([node], "alone", [], [output], [constants[name] for name in given])
    evaluator = onnx.reference.ReferenceEvaluator(onnx.helper.make_model(alone, opset_imports=opsets))
    found = evaluator.run(None, {})[0]
    return np.asarray(found) if np.size(found) <= _LARGEST else None


def _write(graph: Any, kept: list[Any], constants: dict[str, Any]) -> None:
    """The nodes and constants that the outputs need."""
    needed, living = {output.name for output in graph.output}, []
    for node in reversed(kept):
        if needed.intersection(node.output):
            needed.update(node.input)
            living.append(node)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(reversed(living))
    graph.initializer.extend(tensor for name, tensor in constants.items() if name in needed)
