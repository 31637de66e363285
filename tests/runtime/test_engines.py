"""Engines give the same answers, for every number of people and steps, and refuse what is not theirs in one line."""

import numpy as np
import onnx
import pytest

from hmr_ros.errors import AssetError, InputError
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.hmdiff.graphs import hmdiff_graph
from hmr_ros.methods.posturehmr.graphs import decoder_graph, image_graph, posture_graph, torch_posture
from hmr_ros.methods.posturehmr.sources import POSTURE, PostureNetwork
from hmr_ros.methods.scorehmr.guided_frame import refine_graph
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.export import export
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.tolerances import relative_errors
from hmr_ros.runtime.torch import TorchEngine


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_onnxruntime_says_what_torch_says(exported, steps):
    ours, theirs = TorchEngine(posture_graph(steps, {})), OnnxRuntimeEngine(exported(steps), "posture", 1)
    for count in (1, 2, 5, 8):
        given = make_inputs(POSTURE, count, seed=count)
        expected, found = ours(given), theirs(given)
        assert max(relative_errors(expected, found).values()) < 1e-4
        assert np.abs(expected["points_3d"] - found["points_3d"]).max() < 1e-4  # 0.1 mm


def test_more_steps_are_another_answer(exported):
    given = make_inputs(POSTURE, 3)
    two, four = (OnnxRuntimeEngine(exported(k), "posture", 1)(given) for k in (2, 4))
    assert np.abs(two["points_3d"] - four["points_3d"]).max() > 1e-3


def test_dummy_inputs_are_decoded_to_people():
    """Tolerances are judged on inputs like those of the pipeline: the decoder must make sense of them."""
    given = make_inputs(POSTURE, 16)
    posture = torch_posture(2)(given["points"], given["log_scale"])
    limbs = np.linalg.norm(posture.points[:, 1] - posture.points[:, 3], axis=-1)  # hip to knee
    assert ((limbs > 0.25) & (limbs < 0.5)).all()


@pytest.mark.parametrize(
    ("make", "setting", "settings"),
    [
        (image_graph, 128, {"crop_px": 128}),
        (decoder_graph, 2, {"steps": 2}),
        (refine_graph, 6, {"frames": 6, "past": 10}),
        (hmdiff_graph, 3, {"samples": 3}),
    ],
)
def test_other_networks_say_what_torch_says(tmp_path, make, setting, settings):
    graph = make(setting, {})
    network = graph.signature.network
    card = export(graph, tmp_path / "n.onnx", make_inputs)
    engine, given = OnnxRuntimeEngine(tmp_path / "n.onnx", network, 1), make_inputs(graph.signature, 5, seed=9)
    expected = TorchEngine(graph)(given)
    assert max(relative_errors(expected, engine(given)).values()) < 1e-4
    assert all(np.ptp(array) > 1e-4 for array in expected.values())
    assert card.settings == settings


def test_the_same_fields_as_the_torch_network(exported):
    given = make_inputs(POSTURE, 2)
    a = torch_posture(2)(**given)
    b = PostureNetwork(OnnxRuntimeEngine(exported(2), "posture", 1))(**given)
    for field in ("points_2d", "sigma_2d", "points", "sigma"):
        assert getattr(b, field).dtype == np.float64
        np.testing.assert_allclose(getattr(a, field), getattr(b, field), atol=1e-5)


def test_the_file_says_what_it_is(exported):
    model = onnx.load(exported(4))
    onnx.checker.check_model(model, full_check=True)
    assert [o.version for o in model.opset_import] == [17]
    assert sum(n.op_type == "LayerNormalization" for n in model.graph.node) > 4  # TensorRT must recognise them
    card = OnnxRuntimeEngine(exported(4), "posture", 1).card
    assert card.settings == {"steps": 4} and card.signature == POSTURE
    assert set(card.max_error) == set(POSTURE.outputs) and max(card.max_error.values()) < 1e-4
    assert not card.outdated(asset(""))
    text = exported(4).read_bytes()
    assert b".py" not in text and str(exported(4).parent).encode() not in text


class _Doubling(Engine):
    """Every output is twice the log scale."""

    kind = "torch"
    max_batch = 3

    def _run(self, inputs):
        rows = 2 * inputs["log_scale"]
        assert 1 <= len(rows) <= self.max_batch
        return {
            k: np.zeros((len(rows), *size)) + rows.reshape(-1, *[1] * len(size)) for k, size in POSTURE.outputs.items()
        }


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_large_batches_are_cut_to_what_the_engine_takes(count):
    engine = _Doubling(POSTURE, "cpu", "float32")
    given = make_inputs(POSTURE, count)
    answer = engine(given)
    assert {k: v.shape for k, v in answer.items()} == {k: (count, *s) for k, s in POSTURE.outputs.items()}
    np.testing.assert_array_equal(answer["sigma_3d"], np.repeat(2 * given["log_scale"][:, None], 81, 1))


def test_wrong_inputs_name_the_network_and_what_it_takes(exported):
    engine = OnnxRuntimeEngine(exported(2), "posture", 1)
    good = make_inputs(POSTURE, 2)
    with pytest.raises(InputError, match=r"'posture' takes points, log_scale, not points"):
        engine({"points": good["points"]})
    for bad in ({"points": good["points"][:, :32]}, {"log_scale": good["log_scale"][:1]}, {"points": np.zeros(())}):
        with pytest.raises(InputError, match="'posture' takes"):
            engine(good | bad)


def test_missing_damaged_and_foreign_files(tmp_path, exported, prior_file):
    damaged, foreign = tmp_path / "damaged.onnx", tmp_path / "foreign.onnx"
    damaged.write_bytes(b"no model")
    model = onnx.load(exported(2))
    del model.metadata_props[:]
    onnx.save(model, foreign)
    other = tmp_path / "other.onnx"
    export(refine_graph(4, {"prior": prior_file}), other, make_inputs)
    for path, said in (
        (tmp_path / "no.onnx", "no ONNX file no.onnx"),
        (damaged, "cannot read damaged.onnx"),
        (foreign, "has no hmr_ros metadata"),
        (other, "holds 'refine'"),
    ):
        with pytest.raises(AssetError, match=said) as caught:
            OnnxRuntimeEngine(path, "posture", 1)
        assert "hmr export" in str(caught.value) and "\n" not in str(caught.value)
