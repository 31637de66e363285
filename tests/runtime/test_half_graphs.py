"""Strongly typed graphs: large products in float16 where it is safe, all else in float32, and no joint of a body moves
by a millimetre for it, when what is float16 is rounded to float16."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics
from hmr_ros.body.shape import TrackShapes
from hmr_ros.cli import main
from hmr_ros.config import HmrConfig
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.record import Posture
from hmr_ros.factory import engine_request
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.posturehmr.recovery import estimates_of, joint_sigma, observed
from hmr_ros.methods.posturehmr.sources import POSTURE
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.contract import Signature
from hmr_ros.runtime.export import export
from hmr_ros.runtime.model_card import KEY, ModelCard
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.tolerances import allowed, differences
from hmr_ros.runtime.weight_types import plain

PRODUCTS = ("MatMul", "Gemm", "Conv")


@pytest.fixture(scope="module", params=list(NETWORKS))
def graphs(request, tmp_path_factory):
    """Name and files of a network in float32 and float16."""
    folder = tmp_path_factory.mktemp("half")
    paths = []
    for precision in ("fp32", "fp16"):
        wanted = engine_request(HmrConfig(), request.param, half=precision == "fp16")
        export(wanted.graph(), folder / wanted.file, make_inputs, precision)
        paths.append(folder / wanted.file)
    return request.param, *paths


def types_of(model):
    """Type of every tensor of a graph."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    return {v.name: v.type.tensor_type.elem_type for v in known} | {
        t.name: t.data_type for t in inferred.graph.initializer
    }


def test_layers_are_float16_and_everything_else_float32(graphs):
    model = onnx.load(str(graphs[2]))
    types = types_of(model)
    halves = 0
    for node in model.graph.node:
        kinds = {types[i] for i in node.input if i in types} & {TensorProto.FLOAT, TensorProto.FLOAT16}
        assert len(kinds) <= 1, f"{node.name} mixes types"
        if node.op_type == "Cast" or TensorProto.FLOAT16 not in kinds:
            continue
        assert node.op_type in (*PRODUCTS, "Add", "Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze"), node.name
        halves += node.op_type in PRODUCTS
    assert halves >= 1
    norms = [node for node in model.graph.node if node.op_type in ("LayerNormalization", "Softmax", "Exp")]
    assert all(types[node.input[0]] == TensorProto.FLOAT for node in norms)
    signature = [*model.graph.input, *model.graph.output]
    assert {v.type.tensor_type.elem_type for v in signature} == {TensorProto.FLOAT}


def test_no_weight_is_infinite(graphs):
    for path in graphs[1:]:
        for tensor in onnx.load(str(path)).graph.initializer:
            array = numpy_helper.to_array(tensor)
            assert array.dtype.kind != "f" or np.isfinite(array).all(), f"{path.name}: {tensor.name}"


@pytest.mark.parametrize("count", range(1, 9))
def test_they_agree_within_the_bounds_of_each_output(graphs, count):
    name, full, half = graphs
    reference = OnnxRuntimeEngine(full, name, 1)
    typed = OnnxRuntimeEngine(half, name, 1, as_written=True)
    given = make_inputs(reference.signature, count, 10 + count)
    expected, found = reference(given), typed(given)
    for output, error in differences(expected, found).items():
        assert error <= allowed(output, expected, "fp16"), output


def test_the_guided_frame_moves_no_joint_by_a_millimetre(graphs):
    """1 to 8 people, with frame gaps of 10 to 100 ms, and windows filled from one frame to all of them."""
    name, full, half = graphs
    if name != "refine":
        pytest.skip("of the guided frame")
    reference, typed = OnnxRuntimeEngine(full, name, 1), OnnxRuntimeEngine(half, name, 1, as_written=True)
    frames = reference.signature.inputs["present"][0]
    for filled in range(1, frames + 1):
        people = 1 + filled % 8
        given = make_inputs(reference.signature, people, filled)
        gaps = np.resize((0.01, 0.033, 0.1), (people, 1))  # each person's
        given["seconds"] = np.broadcast_to(gaps, given["seconds"].shape).astype(np.float32)
        given["present"] = np.broadcast_to(np.arange(frames) >= frames - filled, (people, frames)).astype(np.float32)
        expected, found = reference(given), typed(given)
        rest = np.cumsum(given["bones"], axis=1)  # any skeleton will do: the same for both
        joints = [forward_kinematics(e["rotations"].astype(float), rest)[1] + e["pelvis"][:, None]
                  for e in (expected, found)]  # fmt: skip
        assert np.linalg.norm(joints[0] - joints[1], axis=-1).max() < 1e-3, filled
        assert np.abs(expected["pelvis"] - found["pelvis"]).max() < 2e-4, filled  # where they are
        for output, error in differences(expected, found).items():
            assert error <= allowed(output, expected, "fp16"), (output, filled)


@pytest.mark.parametrize("people", range(1, 9))
def test_bodies_made_of_the_points_are_the_same(graphs, people):
    name, full, half = graphs
    if name not in ("posture", "decoder"):
        pytest.skip("gives no points")
    given = make_inputs(POSTURE, people, 20 + people)
    if name == "decoder":  # the mesh of these people
        found = OnnxRuntimeEngine(asset("posture_2.onnx"), "posture", 1)(given)
        given |= {"mesh": found["points_2d"], "sigma": found["sigma_2d"]}
    engines = OnnxRuntimeEngine(full, name, 1), OnnxRuntimeEngine(half, name, 1, as_written=True)
    expected, found = (bodies(given, engine(given)) for engine in engines)
    for a, b in zip(expected, found, strict=True):
        assert np.linalg.norm(a.joints - b.joints, axis=-1).max() < 1e-3
        assert np.abs(a.betas - b.betas).max() < 5e-3  # a two-hundredth of what people differ by
        assert np.abs(a.transl - b.transl).max() < 1e-3


def bodies(given, answer):
    """The recovery's bodies of points that the networks gave."""
    body = load_body(None)
    people = len(given["points"])
    seen = Normalised(
        given["points"].astype(float), np.exp(given["log_scale"].astype(float)), np.tile(np.eye(3), (people, 1, 1))
    )
    posture = Posture(*(answer[output].astype(float) for output in POSTURE.outputs))
    shapes = TrackShapes().expected(list(range(people)))
    fitted = PointFitter(sparse_points(body, coarse_of(body)))(observed(seen, posture, *shapes))
    return estimates_of(body, seen, fitted, joint_sigma(posture.sigma))


def test_what_is_float16_is_rounded_and_overflows(tmp_path):
    """ONNX Runtime by itself drops the casts around a product, and hides both."""
    nodes = [
        onnx.helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        onnx.helper.make_node("MatMul", ["half", "one"], ["product"]),
        onnx.helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, ["people", 1]) for name in "xy"]
    one = numpy_helper.from_array(np.ones((1, 1), np.float16), "one")
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [one])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    card = ModelCard(Signature("g", {"x": (1,)}, {"y": (1,)}), {}, 17, {}, {}, {})
    onnx.helper.set_model_props(model, {KEY: card.to_json()})
    onnx.save(model, tmp_path / "g.onnx")
    given = {"x": np.array([[1 + 2**-13], [1e5]], np.float32)}
    assert OnnxRuntimeEngine(tmp_path / "g.onnx", "g", 1, as_written=True)(given)["y"].tolist() == [[1.0], [np.inf]]


def test_plain_files_hold_weights_in_the_type_of_their_use(graphs, tmp_path):
    name, full, half = graphs
    for path, kind in ((full, TensorProto.FLOAT), (half, None)):
        model = onnx.load_from_string(plain(path))
        stored = {t.name: t for t in model.graph.initializer}
        assert not [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in stored]
        if kind is not None:
            assert TensorProto.FLOAT16 not in {t.data_type for t in stored.values()}
        (tmp_path / "plain.onnx").write_bytes(model.SerializeToString())
        expected = OnnxRuntimeEngine(path, name, 1)
        found = OnnxRuntimeEngine(tmp_path / "plain.onnx", name, 1)
        given = make_inputs(expected.signature, 2, 0)
        assert max(differences(expected(given), found(given)).values()) < 1e-4


def test_export_says_what_it_wrote(tmp_path, capsys):
    assert main(["export", "posture", "--precision", "fp16", "--out", str(tmp_path)]) == 0
    assert "posture_2_fp16.onnx" in capsys.readouterr().out
    assert OnnxRuntimeEngine(tmp_path / "posture_2_fp16.onnx", "posture", 1).card.precision == "fp16"
