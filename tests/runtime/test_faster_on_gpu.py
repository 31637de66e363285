"""ONNX Runtime's CUDA provider is taken only where it agrees and is faster: our choice, over sessions that only say
that they are on a GPU. Nothing here is a run on one."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import engine_request
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.runtime import faster_on_gpu, timing
from hmr_ros.runtime.onnxruntime import CUDA, OnnxRuntimeEngine
from hmr_ros.runtime.selection import select

FILE = asset("posture_2.onnx")


class Pretended:
    """ONNX Runtime with a CUDA provider, and a clock that its runs move on."""

    def __init__(self, monkeypatch):
        self.now, self.cpu_s, self.cuda_s = 0.0, 2.0, 1.0
        self.off, self.starts, self.fails = 0.0, True, False
        self.options = []
        content = vars(onnxruntime) | {
            "InferenceSession": self.session,
            "get_available_providers": lambda: [CUDA, "CPUExecutionProvider"],
        }
        monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(**content))
        monkeypatch.setattr(timing, "perf_counter", lambda: self.now)

    def session(self, path, options, providers):
        real = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        cuda = isinstance(providers[0], tuple)
        if cuda:
            assert providers[0][0] == CUDA and providers[1:] == ["CPUExecutionProvider"]
            self.options.append(providers[0][1])

        def run(names, inputs):
            if cuda and self.fails:
                raise RuntimeError("CUDNN failure 4:\nout of memory")
            self.now += self.cuda_s if cuda else self.cpu_s
            answers = real.run(names, inputs)
            return [answers[0], *((1 + self.off) * a for a in answers[1:])] if cuda else answers

        used = [CUDA] if cuda and self.starts else []
        return SimpleNamespace(
            run=run, get_modelmeta=real.get_modelmeta, get_providers=lambda: [*used, "CPUExecutionProvider"]
        )


@pytest.fixture
def pretended(monkeypatch):
    return Pretended(monkeypatch)


def chosen(engine="auto"):
    return select(engine, replace(engine_request(HmrConfig(threads=1), "posture"), folders=(FILE.parent,)))


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_what_agrees_and_is_faster_is_taken_in_float32(pretended, engine):
    found = chosen(engine)
    assert found.engine.device == "cuda"
    assert "on the GPU, which agrees with the CPU and takes 1000.00 ms instead of 2000.00 ms" in found.reason
    assert [options["use_tf32"] for options in pretended.options] == ["0"]


def test_what_is_slower_is_not_taken(pretended):
    pretended.cuda_s = 2.0
    found = chosen()
    assert found.engine.device == "cpu" and "CUDA provider takes 2000.00 ms instead of 2000.00 ms" in found.reason


@pytest.mark.parametrize("off", [1e-3, np.nan])
def test_what_says_something_else_is_not_taken(pretended, off):
    pretended.off = off
    found = chosen()
    assert found.engine.device == "cpu" and "CUDA provider differs by" in found.reason and "allowed" in found.reason
    pretended.off = 1e-5
    assert chosen().engine.device == "cuda"


def test_what_fails_is_not_taken(pretended):
    pretended.fails = True
    found = chosen()
    assert found.engine.device == "cpu" and "CUDA provider fails (CUDNN failure 4: out of memory)" in found.reason
    pretended.fails, pretended.starts = False, False  # ONNX Runtime goes on with the CPU by itself
    assert "its CUDA or cuDNN is not there" in chosen().reason


def test_without_the_provider_nothing_is_tried():
    here = OnnxRuntimeEngine(FILE, "posture", 1)
    assert CUDA not in onnxruntime.get_available_providers()
    assert faster_on_gpu.on_gpu(here, make_inputs) == (here, "")
    with pytest.raises(AssetError, match="no CUDA provider: pip install onnxruntime-gpu"):
        OnnxRuntimeEngine(FILE, "posture", 1, cuda=True)
