"""Graphs with less in them that say the same, for every batch size."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from hmr_ros.runtime.simplified import simplify


class Wasteful(nn.Module):
    """What exporters make of tables, repeated expressions and answers that are equal."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.arange(12.0).reshape(3, 4))

    def forward(self, x):
        made = (self.table * 2 + torch.eye(3, 4)).T
        first, second = torch.exp(x @ self.table), torch.exp(x @ self.table)
        return first @ made, second @ made + 0 * x, torch.ones(len(x), 2)


def exported(path):
    names = {name: {0: "people"} for name in ("x", "a", "b", "c")}
    torch.onnx.export(
        Wasteful().eval(), (torch.zeros(2, 3),), str(path), dynamo=False, opset_version=17, input_names=["x"],
        output_names=["a", "b", "c"], dynamic_axes=names,
    )  # fmt: skip
    return onnx.load(str(path))


@pytest.fixture
def pair(tmp_path):
    model = exported(tmp_path / "wasteful.onnx")
    lighter = onnx.ModelProto()
    lighter.CopyFrom(model)
    simplify(onnx, lighter)
    onnx.checker.check_model(lighter, full_check=True)
    return model, lighter


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_answers_stay(pair, count):
    given = {"x": np.random.default_rng(count).normal(0, 0.1, (count, 3)).astype(np.float32)}
    expected, found = (ReferenceEvaluator(model).run(None, given) for model in pair)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_what_never_changes_is_stored(pair):
    before, after = ([node.op_type for node in model.graph.node] for model in pair)
    assert "Constant" in before and "Constant" not in after
    read = {name for node in pair[1].graph.node for name in node.input}
    outputs = {output.name for output in pair[1].graph.output}
    assert {tensor.name for tensor in pair[1].graph.initializer} <= read | outputs


def test_a_chain_of_constants_becomes_one():
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    info = [make.make_tensor_value_info(name, kind, ["people", 3]) for name in ("x", "a")]
    table = onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")
    nodes = [
        make.make_node("Mul", ["table", "table"], ["squared"]), make.make_node("Neg", ["squared"], ["negative"]),
        make.make_node("Exp", ["x"], ["unused"]), make.make_node("Add", ["x", "negative"], ["a"]),
    ]  # fmt: skip
    graph = make.make_graph(nodes, "g", info[:1], info[1:], [table])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)])
    simplify(onnx, model)
    assert [node.op_type for node in model.graph.node] == ["Add"] and len(model.graph.initializer) == 1
    (found,) = ReferenceEvaluator(model).run(None, {"x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(found, np.tile([1.0, 0.0, -3.0], (2, 1)))


def test_equal_nodes_are_joined_and_outputs_keep_their_names():
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    info = [make.make_tensor_value_info(name, kind, ["people", 3]) for name in ("x", "a", "b")]
    nodes = [make.make_node("Exp", ["x"], ["a"]), make.make_node("Exp", ["x"], ["b"])]
    model = make.make_model(make.make_graph(nodes, "g", info[:1], info[1:]), opset_imports=[make.make_opsetid("", 17)])
    simplify(onnx, model)
    assert [node.op_type for node in model.graph.node] == ["Exp", "Identity"]
    assert [v.name for v in model.graph.output] == ["a", "b"]
    a, b = ReferenceEvaluator(model).run(None, {"x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(a, b)
