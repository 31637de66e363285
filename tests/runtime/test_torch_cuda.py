"""Torch on a GPU: it is taken only where it says the same; the rest waits for the hardware."""

import numpy as np
import pytest
import torch

from hmr_ros.config import HmrConfig
from hmr_ros.factory import engine_request
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.torch import TorchCudaEngine, TorchEngine, agrees, on_gpu

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def torch_engine(network):
    return TorchEngine(engine_request(HmrConfig(), network).graph())


class Off(Engine):
    """Another engine's answer, with one output too large by a factor."""

    kind = "torch"

    def __init__(self, inner, factor):
        self._inner, self._factor = inner, factor
        super().__init__(inner.signature, "elsewhere", "float32")

    def _run(self, inputs):
        answer = self._inner(inputs)
        return answer | {"points_3d": np.float32(self._factor) * answer["points_3d"]}


def test_an_engine_that_says_something_else_is_not_taken():
    here = torch_engine("posture")
    assert agrees(Off(here, 1.001), here, make_inputs)
    for factor in (1.1, np.nan):
        assert not agrees(Off(here, factor), here, make_inputs)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_nothing_changes():
    here = torch_engine("posture")
    assert on_gpu(here, make_inputs) is here


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("network", list(NETWORKS))
def test_the_gpu_says_what_the_cpu_says(network):
    here = torch_engine(network)
    there = TorchCudaEngine(here)
    for count in (1, 4, 11, 1):
        given = make_inputs(here.signature, count, seed=count)
        found, expected = there(given), here(given)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-2 * np.abs(array).max())
