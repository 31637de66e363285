"""Torch on a GPU: it is taken only where it says the same; the rest waits for the hardware."""

import numpy as np
import pytest
import torch

from hmr_ros.config import HmrConfig
from hmr_ros.factory import engine_wish
from hmr_ros.methods.dummy_inputs import sample
from hmr_ros.methods.originals import original
from hmr_ros.runtime.contract import Engine
from hmr_ros.runtime.selection import SETTING
from hmr_ros.runtime.torch import TorchCudaEngine, agrees, on_gpu

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


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
    here = original("posture", 2)
    assert agrees(Off(here, 1.001), here)
    for factor in (1.1, np.nan):
        assert not agrees(Off(here, factor), here)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_nothing_changes():
    here = original("posture", 2)
    assert on_gpu(here) is here


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("network", list(SETTING))
def test_the_gpu_says_what_the_cpu_says(network):
    here = original(network, engine_wish(HmrConfig(), network).setting)
    there = TorchCudaEngine(here)
    for count in (1, 4, 11, 1):
        given = sample(here.signature, count, seed=count)
        found, expected = there(given), here(given)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-2 * np.abs(array).max())
