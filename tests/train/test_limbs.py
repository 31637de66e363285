"""The limb network: it starts where BlazePose stands, learns, and comes back from its file."""

import numpy as np
import pytest
import torch

from hmr_ros.cli import main
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import FULL, asset, model_file
from hmr_ros.networks.limbs import LimbModule, load_limbs
from hmr_ros.train.data.features import load_features, truth_of
from hmr_ros.train.limbs import limb_errors, rates, started


@pytest.fixture(scope="module")
def people(features):
    people = load_features(features)
    return people, truth_of(people)


def test_ridge_regression_reads_joints_out_of_the_published_features(people):
    """A hundred times as many features as people: these themselves come out nearly right."""
    network = started(*people, model_file(FULL), np.random.default_rng(0))
    errors = limb_errors(network, *people, "cpu")
    assert errors["val_pa_mm"] < 60 and errors["val_points"] < 0.06


def test_a_training_learns_its_people_and_its_weights_are_read_back(features, people, tmp_path):
    shipped = asset("limbs.safetensors")
    argv = ["train", "limbs", "--features", str(features), "--val", str(features), "--init", str(shipped)]
    assert main([*argv, "--out", str(tmp_path), "--steps", "60", "--batch", "10", "--threads", "1"]) == 0
    before, after = (
        limb_errors(load_limbs(path), *people, "cpu") for path in (shipped, tmp_path / "limbs.safetensors")
    )
    assert after["val_pa_mm"] < 0.8 * before["val_pa_mm"]
    assert after["val_points"] < 0.8 * before["val_points"]


def test_filters_and_the_first_block_stay(people):
    network = started(*people, model_file(FULL), np.random.default_rng(0))
    learning = rates(network)
    assert not any(name.endswith("depthwise.weight") or name.startswith("trunk.mobile.0.") for name in learning)
    assert all(rate > 0 for rate in learning.values())
    assert learning["trunk.mobile.1.widen.weight"] == pytest.approx(
        float(network.trunk.mobile[1].widen.weight.detach().square().mean().sqrt())
    )


def test_the_graph_gives_limb_joints_and_sines_of_angles(people):
    network = started(*people, model_file(FULL), np.random.default_rng(0))
    maps = torch.from_numpy(people[0].features[:3]).float()
    with torch.no_grad():
        points, sines, sigma = LimbModule(network)(maps)
    assert points.shape == (3, 12, 2) and sines.shape == sigma.shape == (3, 12)
    assert sines.abs().max() <= 1 and sigma.min() > 0


def test_weights_of_another_network_are_refused(tmp_path):
    from hmr_ros.io.model_store import asset

    with pytest.raises(AssetError, match="not 'limbs'"):
        load_limbs(asset("m2p.safetensors"))
