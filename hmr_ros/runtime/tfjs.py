"""TensorFlow.js graph models as LiteRT files: convolutional networks only, made in memory when they are loaded.

Kept as published (graph as JSON, weights in float16) and checked as such; what is run is made for the input size that
the caller wants, for the graph itself has none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.errors import AssetError
from hmr_ros.types import Array

_QUANTIZED = {"float16": np.float16}
_PLAIN = {"float32": np.float32, "int32": np.int32}
_SAME, _NO_ACTIVATION, _RELU, _RELU6 = 0, 0, 1, 3  # numbers of the file format
_ACTIVATIONS = {"Relu": _RELU, "Relu6": _RELU6}


def can_convert() -> bool:
    """Whether this installation has what writes LiteRT files: some builds of LiteRT come without their schema."""
    try:
        import flatbuffers  # noqa: F401
        from ai_edge_litert import schema_py_generated  # noqa: F401
    except ImportError:
        return False
    return True


def litert_model(graph: Path, weights: Path, start: str, ends: Sequence[str], size_px: int) -> bytes:
    """A LiteRT file of the part of a TensorFlow.js graph between two places.

    `start`: the tensor [1,size_px,size_px,3] that becomes the input; `ends`: those that become outputs, in this order
    and with these names. Convolutions with what is fused into them, sums, sigmoids and growth by 2 are known.
    AssetError where the files are damaged or the part holds anything else.
    """
    try:
        return _Builder(_Graph.read(graph, weights), start, size_px).file(ends)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise AssetError(f"{graph} is not a usable model ({error}); delete it and run `hmr models fetch`") from error


@dataclass(frozen=True)
class _Graph:
    nodes: dict[str, dict[str, Any]]
    weights: dict[str, Array]

    @classmethod
    def read(cls, graph: Path, weights: Path) -> _Graph:
        tree = json.loads(graph.read_bytes())
        data, start, arrays = weights.read_bytes(), 0, {}
        for entry in (w for group in tree["weightsManifest"] for w in group["weights"]):
            packed = entry.get("quantization")
            kind = np.dtype(_QUANTIZED[packed["dtype"]] if packed else _PLAIN[entry["dtype"]])
            count = int(np.prod(entry["shape"]))
            arrays[entry["name"]] = np.frombuffer(data, kind, count, start).reshape(entry["shape"])
            start += count * kind.itemsize
        return cls({node["name"]: node for node in tree["modelTopology"]["node"]}, arrays)


class _Builder:
    """Walks a graph from its ends to its start and writes what it meets, operators after what they read."""

    def __init__(self, graph: _Graph, start: str, size_px: int) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise AssetError("this ai-edge-litert cannot write models; run: pip install -U ai-edge-litert") from error
        self._graph, self._schema = graph, schema
        self._buffers = [schema.BufferT()]  # the first one is empty by convention
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._made = {start: self._tensor(start, (1, size_px, size_px, 3))}

    def file(self, ends: Sequence[str]) -> bytes:
        import flatbuffers

        schema = self._schema
        graph = schema.SubGraphT()
        graph.inputs, graph.outputs = [0], [self._value(name) for name in ends]
        graph.tensors, graph.operators = self._tensors, self._operators
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self._buffers
        model.operatorCodes = [self._code(code) for code in self._codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _value(self, name: str) -> int:
        """Number of the tensor that node `name` gives; the way there is written first."""
        if name not in self._made:
            node = self._graph.nodes[name]
            makers = {
                "_FusedConv2D": self._convolution,
                "FusedDepthwiseConv2dNative": self._depthwise,
                "DepthwiseConv2dNative": self._depthwise,
                "AddV2": self._sum,
                "ResizeBilinear": self._grown,
                "Sigmoid": self._sigmoid,
            }
            if node["op"] not in makers:
                raise ValueError(f"operator {node['op']} is unknown")
            self._made[name] = makers[node["op"]](node)
        return self._made[name]

    def _convolution(self, node: dict[str, Any]) -> int:
        source, kernel = self._value(node["input"][0]), self._graph.weights[node["input"][1]]
        options = self._schema.Conv2DOptionsT()
        shape = self._convolved(node, options, source, kernel.shape[3])
        weights = self._constant(np.moveaxis(kernel, 3, 0))
        return self._operator("CONV_2D", [source, weights, self._bias(node, kernel.shape[3])], shape, node, options)

    def _depthwise(self, node: dict[str, Any]) -> int:
        source, kernel = self._value(node["input"][0]), self._graph.weights[node["input"][1]]
        height, width, channels, multiplier = kernel.shape
        options = self._schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = multiplier
        shape = self._convolved(node, options, source, channels * multiplier)
        weights = self._constant(kernel.reshape(1, height, width, -1))
        inputs = [source, weights, self._bias(node, channels * multiplier)]
        return self._operator("DEPTHWISE_CONV_2D", inputs, shape, node, options)

    def _convolved(self, node: dict[str, Any], options: Any, source: int, channels: int) -> tuple[int, ...]:
        """Fill the options that all convolutions share; the shape of what comes out."""
        attributes = node["attr"]
        strides, dilations = (_numbers(attributes[key]) for key in ("strides", "dilations"))
        points = self._graph.weights[node["input"][1]].shape[:2] == (1, 1)  # where nothing is padded, whatever is said
        if not (points or _word(attributes["padding"]["s"]) == "SAME") or dilations != [1, 1, 1, 1]:
            raise ValueError(f"{node['name']} pads or dilates in an unknown way")
        fused = [_word(s) for s in attributes.get("fused_ops", {}).get("list", {}).get("s", [])]
        named = [word for word in fused if word != "BiasAdd"]
        options.padding, options.strideH, options.strideW = _SAME, strides[1], strides[2]
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = _ACTIVATIONS[named[0]] if named else _NO_ACTIVATION
        _, height, width, _ = self._tensors[source].shape
        return 1, -(-height // strides[1]), -(-width // strides[2]), channels

    def _bias(self, node: dict[str, Any], channels: int) -> int:
        given = node["input"][2:]
        return self._constant(self._graph.weights[given[0]] if given else np.zeros(channels, np.float16))

    def _sum(self, node: dict[str, Any]) -> int:
        inputs = [self._value(name) for name in node["input"]]
        return self._operator("ADD", inputs, self._tensors[inputs[0]].shape, node, self._schema.AddOptionsT())

    def _grown(self, node: dict[str, Any]) -> int:
        """Twice the size. The graph computes the size from shapes; what it multiplies them by is not looked at."""
        source = self._value(node["input"][0])
        options = self._schema.ResizeBilinearOptionsT()
        options.halfPixelCenters = bool(node["attr"]["half_pixel_centers"]["b"])
        options.alignCorners = bool(node["attr"]["align_corners"]["b"])
        _, height, width, channels = self._tensors[source].shape
        size = self._constant(np.array([2 * height, 2 * width], np.int32))
        return self._operator("RESIZE_BILINEAR", [source, size], (1, 2 * height, 2 * width, channels), node, options)

    def _sigmoid(self, node: dict[str, Any]) -> int:
        source = self._value(node["input"][0])
        return self._operator("LOGISTIC", [source], self._tensors[source].shape, node, None)

    def _operator(self, kind: str, inputs: list[int], shape: Sequence[int], node: dict[str, Any], options: Any) -> int:
        operator = self._schema.OperatorT()
        code = getattr(self._schema.BuiltinOperator, kind)
        if code not in self._codes:
            self._codes.append(code)
        operator.opcodeIndex, operator.inputs = self._codes.index(code), inputs
        operator.outputs = [self._tensor(node["name"], tuple(shape))]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._operators.append(operator)
        return int(operator.outputs[0])

    def _constant(self, value: Array) -> int:
        """A float32 or int32 constant."""
        value = np.ascontiguousarray(value, np.int32 if value.dtype == np.int32 else np.float32)
        buffer = self._schema.BufferT()
        buffer.data = value.reshape(-1).view(np.uint8)
        self._buffers.append(buffer)
        kind = self._schema.TensorType.INT32 if value.dtype == np.int32 else self._schema.TensorType.FLOAT32
        return self._tensor(f"constant_{len(self._buffers)}", value.shape, kind, len(self._buffers) - 1)

    def _tensor(self, name: str, shape: Sequence[int], kind: int = 0, buffer: int = 0) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), kind, buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _code(self, code: int) -> Any:
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        return entry


def _numbers(attribute: dict[str, Any]) -> list[int]:
    return [int(i) for i in attribute["list"]["i"]]


def _word(text: str) -> str:
    return base64.b64decode(text).decode()
