"""What an exporter writes and no engine should have to find out: constants computed, equal nodes joined, dead ones gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmr_ros.types import Floats

_LARGEST = 1 << 16  # numbers; a larger constant is cheaper to compute than to store


def simplify(onnx: Any, model: Any) -> None:
    """Rewrite the graph of `model`: the same outputs from fewer nodes, for every batch size."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    seen: dict[tuple[str, ...], str] = {}  # of each constant or node by what it is, the first name
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        value = _value(onnx, node, constants, model.opset_import)
        if value is not None:
            constants[node.output[0]] = onnx.numpy_helper.from_array(value, node.output[0])
            key = ("constant", str(value.dtype), str(value.shape), value.tobytes().hex())
            same[node.output[0]] = seen.setdefault(key, node.output[0])
            continue
        attributes = sorted(a.SerializeToString().hex() for a in node.attribute)
        key = (node.domain, node.op_type, *node.input, "|", *attributes, str(len(node.output)))
        first = seen.setdefault(key, str(len(kept)))
        if first == str(len(kept)):
            kept.append(node)
        else:
            same.update(zip(node.output, kept[int(first)].output, strict=True))
    _rename_outputs(onnx, graph, same, kept)
    _write(graph, kept, constants)


def _value(onnx: Any, node: Any, constants: dict[str, Any], opsets: Any) -> Floats | None:
    """What the node always gives, or None."""
    if len(node.output) != 1 or not all(name in constants for name in node.input if name):
        return None
    inputs = [onnx.numpy_helper.to_array(constants[name]) if name else None for name in node.input]
    single = onnx.helper.make_graph(
        [node], "one", [], [onnx.helper.make_empty_tensor_value_info(node.output[0])],
        [constants[name] for name in dict.fromkeys(node.input) if name],
    )  # fmt: skip
    del inputs
    from onnx.reference import ReferenceEvaluator

    found = ReferenceEvaluator(onnx.helper.make_model(single, opset_imports=opsets)).run(None, {})[0]
    return np.asarray(found) if isinstance(found, np.ndarray | np.generic) and found.size <= _LARGEST else None


def _rename_outputs(onnx: Any, graph: Any, same: dict[str, str], kept: list[Any]) -> None:
    """An output of the graph that is another's equal keeps its name."""
    for output in graph.output:
        if output.name in same:
            kept.append(onnx.helper.make_node("Identity", [same[output.name]], [output.name]))


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
