"""What a CUDA graph cannot hold: numbers that come from the host, or that the host waits for, while a network runs."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hmr_ros.config import HmrConfig
from hmr_ros.factory import engine_request
from hmr_ros.methods.dummy_inputs import make_inputs

HOST = {  # operations of torch that copy from the host or wait for it
    "aten.lift_fresh.default": "a tensor of Python's numbers, as lists among the indices are",
    "aten._local_scalar_dense.default": "a number for Python",
    "aten.nonzero.default": "a shape that depends on data",
    "aten.masked_select.default": "a shape that depends on data",
}


class Watched(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func) in HOST:
            self.seen.append(HOST[str(func)])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("network", ["posture", "hmdiff", "image", "decoder", "refine", "hypotheses"])
def test_networks_touch_nothing_of_the_host(network):
    graph = engine_request(HmrConfig(), network).graph()
    inputs = make_inputs(graph.signature, 2)
    given = [torch.as_tensor(inputs[name]) for name in graph.signature.inputs]
    with torch.inference_mode():
        graph.module.eval()(*given)  # constants that are kept are made by the runs before a capture
        with Watched() as watched:
            graph.module(*given)
    assert not watched.seen


def test_indices_from_a_list_are_seen():
    with torch.inference_mode(), Watched() as watched:
        torch.zeros(3, 3)[:, [0, 2]]
    assert watched.seen
