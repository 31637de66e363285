"""Weights files: round trip and errors that say what to do."""

import pytest
import torch

from hmr_ros.errors import AssetError
from hmr_ros.methods.posturehmr.m2p import M2P, M2PSize
from hmr_ros.networks.weights import read_weights, save_weights


def test_round_trip(tmp_path):
    net = M2P(M2PSize(dim=32, layers=1), torch.eye(81))
    save_weights(tmp_path / "w.safetensors", "m2p", net, net.size, {"pairs": 7})
    state, size, notes = read_weights(tmp_path / "w.safetensors", "m2p")
    again = M2P(M2PSize(**size), torch.eye(81))
    again.load_state_dict(state)
    assert notes == {"pairs": 7}
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_another_network_is_refused(tmp_path):
    net = torch.nn.Linear(2, 2)
    save_weights(tmp_path / "w.safetensors", "mesh2d", net, M2PSize(), {})
    with pytest.raises(AssetError, match="holds 'mesh2d', not 'm2p'"):
        read_weights(tmp_path / "w.safetensors", "m2p")


@pytest.mark.parametrize("content", [None, b"", b"not weights"])
def test_missing_or_broken_files_name_the_cure(tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssetError, match="hmr train m2p"):
        read_weights(path, "m2p")
