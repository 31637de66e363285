"""TensorRT: what can be judged without a GPU, and, where there is one, that plans agree with ONNX Runtime."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import engine_request
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.gpu import open_gpu
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.selection import select
from hmr_ros.runtime.tensorrt import TensorRtEngine, card_file, plan_file, write_plan
from hmr_ros.runtime.tensorrt_build import build_plan, check_plan


def gpu_or_none():
    try:
        return open_gpu()
    except AssetError:
        return None


needs_tensorrt = pytest.mark.skipif(gpu_or_none() is None, reason="no TensorRT with a GPU here")


class Shifted(Engine):
    """ONNX Runtime's answer with an error in one output."""

    kind = "tensorrt"

    def __init__(self, inner, name, error):
        self._inner, self._name, self._error = inner, name, error
        super().__init__(inner.signature, "cpu", "float32")

    def _run(self, inputs):
        answer = self._inner(inputs)
        return answer | {self._name: answer[self._name] + np.float32(self._error)}


def test_a_plan_is_named_after_all_that_it_depends_on(exported):
    names = {
        plan_file(exported(steps, precision), version, gpu)
        for steps in (1, 2) for precision in ("fp16", "fp32") for version in ("10.3.0", "11.1.0")
        for gpu in ("NVIDIA H200-sm90", "NVIDIA GeForce RTX 4070-sm89")
    }  # fmt: skip
    assert len(names) == 16 and all(" " not in n and n.startswith("posture_") and n.endswith(".plan") for n in names)


@pytest.mark.parametrize(("name", "allowed"), [("points_3d", 3e-4), ("points_2d", 3e-4), ("sigma_2d", 3e-4)])
def test_a_plan_that_says_something_else_is_refused(exported, name, allowed):
    reference = OnnxRuntimeEngine(exported(2, "fp16"), "posture", 1)
    assert check_plan(Shifted(reference, name, 0.5 * allowed), reference, make_inputs)[name] < allowed
    for error in (1.5 * allowed, np.nan):
        with pytest.raises(AssetError, match=rf"in {name} \(allowed .*--precision fp32"):
            check_plan(Shifted(reference, name, error), reference, make_inputs)
    reference = OnnxRuntimeEngine(exported(2), "posture", 1)
    with pytest.raises(AssetError, match="use engine 'auto'"):
        check_plan(Shifted(reference, name, 2e-3), reference, make_inputs)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is here")
def test_without_tensorrt_one_line_says_what_to_do(exported, tmp_path, capsys):
    assert main(["build-engine", "--precision", "fp32"]) == 1
    assert main(["build-engine", str(exported(2)), "--out", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and all("needs tensorrt: pip install 'tensorrt>=10,<12'" in line for line in lines)
    with pytest.raises(AssetError, match="use 'auto'"):
        select("tensorrt", replace(engine_request(HmrConfig(), "posture"), folders=(exported(2).parent,)))
    assert "tensorrt" not in sys.modules


@pytest.mark.gpu
@pytest.mark.tensorrt
@needs_tensorrt
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_plan_agrees_with_onnxruntime(exported, tmp_path, precision):
    graph = exported(2, precision)
    plan, differences = build_plan(graph, "posture", tmp_path, make_inputs)
    assert card_file(plan).is_file() and (tmp_path / "timing.cache").is_file()
    assert not list(tmp_path.glob("unchecked*"))
    assert differences["points_3d"] < (3e-4 if precision == "fp16" else 1e-4)
    engine = TensorRtEngine(plan, "posture", open_gpu())
    reference = OnnxRuntimeEngine(graph, "posture", 1)
    assert engine.max_batch == 8
    check_plan(engine, reference, make_inputs)
    engine(make_inputs(engine.signature, 11))  # more than fit into one run


@pytest.mark.gpu
@pytest.mark.tensorrt
@needs_tensorrt
def test_the_engine_of_the_configuration_finds_its_plan(exported, tmp_path):
    request = replace(engine_request(HmrConfig(), "posture"), folders=(exported(2).parent, tmp_path))
    with pytest.raises(AssetError, match="hmr build-engine"):
        select("tensorrt", request)
    build_plan(exported(2, "fp16"), "posture", tmp_path, make_inputs)
    chosen = select("tensorrt", request)
    assert chosen.engine.kind == "tensorrt" and chosen.engine.dtype == "float16"


@pytest.mark.gpu
@pytest.mark.tensorrt
@needs_tensorrt
def test_a_damaged_plan_is_refused(exported, tmp_path):
    plan = tmp_path / "damaged.plan"
    gpu = open_gpu()
    made = {"tensorrt": gpu.tensorrt, "gpu": gpu.name}
    write_plan(plan, b"no plan", replace(OnnxRuntimeEngine(exported(2), "posture", 1).card, made_with=made))
    with pytest.raises(AssetError, match=r"cannot read damaged\.plan.*hmr build-engine"):
        TensorRtEngine(plan, "posture", gpu)
