"""Engines give the same answers, for every number of people and steps, and refuse what is not theirs in one line."""

import numpy as np
import onnx
import pytest

from hmr_ros.body.loading import load_body
from hmr_ros.io.model_store import asset
from hmr_ros.errors import AssetError, InputError
from hmr_ros.methods.dummy_inputs import sample
from hmr_ros.methods.graphs import GRAPHS, Request
from hmr_ros.methods.posturehmr.graphs import load_torch_posture
from hmr_ros.methods.posturehmr.sources import EnginePosture
from hmr_ros.runtime.contract import POSTURE, Engine
from hmr_ros.runtime.export import export, relative_errors
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.torch import TorchEngine


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_onnxruntime_says_what_torch_says(exported, steps):
    graph = GRAPHS["posture"](Request(steps))
    ours, theirs = TorchEngine(graph.module, POSTURE), OnnxRuntimeEngine(exported(steps), "posture", 1)
    for count in (1, 2, 5, 8):
        given = sample(POSTURE, count, seed=count)
        expected, found = ours(given), theirs(given)
        assert max(relative_errors(expected, found).values()) < 1e-4
        assert np.abs(expected["points_3d"] - found["points_3d"]).max() < 1e-4  # 0.1 mm


def test_more_steps_are_another_answer(exported):
    given = sample(POSTURE, 3)
    two, four = (OnnxRuntimeEngine(exported(k), "posture", 1)(given) for k in (2, 4))
    assert np.abs(two["points_3d"] - four["points_3d"]).max() > 1e-3


def test_the_sample_is_decoded_to_people():
    """Tolerances are judged on inputs like those of the pipeline: the decoder must make sense of them."""
    given = sample(POSTURE, 16)
    posture = load_torch_posture(load_body(None), 2)(given["points"], given["log_scale"])
    limbs = np.linalg.norm(posture.points[:, 1] - posture.points[:, 3], axis=-1)  # hip to knee
    assert ((limbs > 0.25) & (limbs < 0.5)).all()


@pytest.mark.parametrize("network", ["evidence", "denoiser"])
def test_parts_of_the_prior(tmp_path, prior_file, network):
    graph = GRAPHS[network](Request(prior=prior_file))
    path, card = export(graph, tmp_path)
    engine = OnnxRuntimeEngine(path, network, 1)
    given = sample(graph.signature, 5, seed=9)
    expected = TorchEngine(graph.module, graph.signature)(given)
    assert max(relative_errors(expected, engine(given)).values()) < 1e-4
    assert all(np.ptp(array) > 1e-3 for array in expected.values())
    assert set(card.sources) == {"prior.safetensors"}


@pytest.mark.parametrize(("network", "setting"), [("image", 128), ("decoder", 2)])
def test_the_road_through_the_picture(tmp_path, network, setting):
    graph = GRAPHS[network](Request())
    path, card = export(graph, tmp_path)
    engine, given = OnnxRuntimeEngine(path, network, 1), sample(graph.signature, 5, seed=9)
    expected = TorchEngine(graph.module, graph.signature)(given)
    assert max(relative_errors(expected, engine(given)).values()) < 1e-4
    assert all(np.ptp(array) > 1e-4 for array in expected.values())
    assert list(card.settings.values()) == [setting]


def test_the_same_fields_as_the_torch_network(exported):
    given = sample(POSTURE, 2)
    a = load_torch_posture(load_body(None), 2)(**given)
    b = EnginePosture(OnnxRuntimeEngine(exported(2), "posture", 1))(**given)
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
    given = sample(POSTURE, count)
    answer = engine(given)
    assert {k: v.shape for k, v in answer.items()} == {k: (count, *s) for k, s in POSTURE.outputs.items()}
    np.testing.assert_array_equal(answer["sigma_3d"], np.repeat(2 * given["log_scale"][:, None], 81, 1))
    engine.warm_up(5)


def test_wrong_inputs_name_the_network_and_what_it_takes(exported):
    engine = OnnxRuntimeEngine(exported(2), "posture", 1)
    good = sample(POSTURE, 2)
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
    other, _ = export(GRAPHS["denoiser"](Request(prior=prior_file)), tmp_path)
    for path, said in (
        (tmp_path / "no.onnx", "no ONNX file no.onnx"),
        (damaged, "cannot read damaged.onnx"),
        (foreign, "says nothing about its origin"),
        (other, "holds 'denoiser'"),
    ):
        with pytest.raises(AssetError, match=said) as caught:
            OnnxRuntimeEngine(path, "posture", 1)
        assert "hmr export" in str(caught.value) and "\n" not in str(caught.value)
