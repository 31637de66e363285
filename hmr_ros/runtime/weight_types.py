"""In which types an ONNX file stores its weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import AssetError

_SMALL = 256  # numbers; smaller tensors stay as they are


def load_onnx() -> Any:
    """The package; AssetError without it."""
    try:
        import onnx
        import onnx.reference
    except ImportError as error:
        raise AssetError("ONNX files are made with onnx: pip install onnx") from error
    return onnx


def store_halves(onnx: Any, model: Any) -> None:
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


def fold_halves(onnx: Any, model: Any) -> None:
    """Weights that are cast to float16 are stored so."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    used = Counter(name for node in model.graph.node for name in node.input)
    for node in [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in stored]:
        if node.attribute[0].i != onnx.TensorProto.FLOAT16:
            continue
        tensor = stored[node.input[0]]
        half = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), node.output[0])
        model.graph.node.remove(node)
        model.graph.initializer.append(half)
        used[tensor.name] -= 1
        if not used[tensor.name]:
            model.graph.initializer.remove(tensor)


def plain(path: Path) -> bytes:
    """The file as engines that build for GPUs take it: weights in the type that they are used in, no casts of them.

    AssetError without onnx.
    """
    onnx = load_onnx()
    model = onnx.load(str(path))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in stored]:
        tensor = stored[node.input[0]]
        kind = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(kind), node.output[0]))
        model.graph.node.remove(node)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def rounded_as_written(path: Path) -> bytes:
    """The file with a node behind everything in float16, for ONNX Runtime's CPU.

    It computes products of float16 in float32 and, whatever the optimisation level, drops casts that stand next to
    each other: nothing would be rounded, and nothing would overflow. A node between them keeps both.

    AssetError without onnx.
    """
    onnx = load_onnx()
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)), strict_mode=True)
    halves = {v.name for v in model.graph.value_info if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name in halves:
                node.output[i] = f"{name}_unrounded"
                nodes.append(onnx.helper.make_node("Identity", [node.output[i]], [name]))
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())
