"""Exports and weights shared by the tests of the engines."""

import sys
from pathlib import Path

import pytest
import torch

from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.posturehmr.graphs import posture_graph
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.methods.scorehmr.prior import Prior, PriorSize
from hmr_ros.networks.weights import save_weights
from hmr_ros.runtime.export import export

sys.path.insert(0, str(Path(__file__).parent))  # for fake_nvidia


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """steps, precision -> exported posture graph of the shipped weights."""
    folder, done = tmp_path_factory.mktemp("onnx"), {}

    def give(steps, precision="fp32"):
        if (steps, precision) not in done:
            path = done[steps, precision] = folder / NETWORKS["posture"].file("posture", steps, precision == "fp16")
            export(posture_graph(steps, {}), path, make_inputs, precision)
        return done[steps, precision]

    return give


@pytest.fixture(scope="session")
def prior_file(tmp_path_factory):
    """Weights of a prior that has not learned anything, but is not all zeros either."""
    torch.manual_seed(0)
    prior = Prior(PriorSize())
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    save_weights(path, "prior", prior, prior.size, {})
    return path
