"""The trunk is BlazePose's own, and its fast depthwise convolutions have the gradient of the plain ones."""

import numpy as np
import pytest
import torch

from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import DETECTOR, FULL, model_file
from hmr_ros.networks.trunk import Trunk
from hmr_ros.perception.landmarks import FEATURE_MAP, feature_network
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.train.blazepose import LAST, start_from_blazepose


def test_with_the_published_weights_it_says_what_the_network_says():
    network = LiteRtModel(model_file(FULL), 1, inner=frozenset({FEATURE_MAP, LAST}))
    said = network(np.random.default_rng(0).random((1, 256, 256, 3), np.float32))
    trunk = Trunk().eval()
    start_from_blazepose(trunk, model_file(FULL))
    with torch.no_grad():
        found = trunk(torch.from_numpy(said[FEATURE_MAP]).permute(0, 3, 1, 2)).numpy().reshape(288, 2, 2)
    expected = said[LAST][0].transpose(2, 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_another_network_is_refused_with_the_cure():
    with pytest.raises(AssetError, match="hmr models fetch"):
        start_from_blazepose(Trunk(), model_file(DETECTOR))


def test_learning_has_the_gradients_of_plain_convolutions():
    torch.manual_seed(0)
    trunk = Trunk()
    x = torch.randn(2, 32, 32, 32)

    def gradients(training):
        trunk.train(training)
        trunk.zero_grad()
        trunk(x).square().sum().backward()
        return {name: p.grad for name, p in trunk.named_parameters() if p.requires_grad}

    fast, plain = gradients(True), gradients(False)
    assert fast.keys() == plain.keys() and any("depthwise" in name for name in fast)
    assert not any(name.endswith("depthwise.weight") for name in fast)  # the filters stay as they are
    for name, gradient in fast.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-3, atol=1e-6)


def test_landmarks_are_the_same_where_features_are_read_too():
    image = np.random.default_rng(1).random((1, 256, 256, 3), np.float32)
    said = feature_network(model_file(FULL), 1)(image)
    assert said.pop(FEATURE_MAP).shape == (1, 32, 32, 32)
    plain = {value.size: value for value in LiteRtModel(model_file(FULL), 1)(image).values()}
    assert len(said) == 4
    for value in said.values():
        np.testing.assert_array_equal(value, plain[value.size])
