"""The 2D mesh network learns from pairs, and a stopped training ends as an unbroken one."""

import numpy as np
import pytest
import torch

from hmr_ros.cli import main
from hmr_ros.methods.posturehmr.mesh2d import Mesh2DSize, load_mesh2d
from hmr_ros.train.data.batches import Mix
from hmr_ros.train.loop import Schedule
from hmr_ros.train.mesh2d import train_mesh2d, true_points_2d

AS_THEY_ARE = Mix(augment=False)


def trained(bank, held_back, out, steps, every, mix=AS_THEY_ARE):
    return train_mesh2d(bank, held_back, Mesh2DSize(), Schedule(out, steps, batch=16, every=every), mix)


def test_it_learns_the_people_that_it_sees(bank, tmp_path, curve):
    network = trained(bank, bank, tmp_path, 60, 20)
    rows = curve(tmp_path)
    assert rows[-1]["val_mean"] < 0.8 * rows[0]["val_mean"]
    assert rows[-1]["nll"] < rows[0]["nll"]
    np.testing.assert_allclose(network.landmarks.numpy(), bank.landmarks, atol=1e-6)
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(0), AS_THEY_ARE)
    with torch.inference_mode():
        uv, log_sigma, _ = network(batch.points, batch.log_scale)
    error = (uv - true_points_2d(bank.posed, batch)).norm(dim=-1)
    assert error.mean().item() == pytest.approx(rows[-1]["val_mean"], rel=1e-3)
    assert log_sigma.exp().mean() < 1.0  # it knows by now that it is better than its start


def test_a_resumed_training_is_the_unbroken_one(bank, open_body, tmp_path, monkeypatch, broken_off, stills):
    from hmr_ros.body.coarse import coarse_of
    from hmr_ros.train.data.batches import PairBank
    from hmr_ros.train.data.pairs import load_pairs

    held_back = PairBank(load_pairs(stills), open_body, coarse_of(open_body), bank.landmarks)
    whole = trained(bank, held_back, tmp_path / "whole", 6, 3, Mix())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, bank, 5)
        trained(bank, held_back, tmp_path / "parts", 6, 3, Mix())
    again = trained(bank, held_back, tmp_path / "parts", 6, 3, Mix())
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


def test_a_training_goes_on_with_the_same_options_alone(stills, tmp_path, capsys):
    common = ["train", "mesh2d", "--pairs", str(stills), "--val", str(stills), "--batch", "8", "--steps", "2"]
    out = ["--out", str(tmp_path / "out")]
    assert main([*common, *out, "--threads", "1"]) == 0
    before = load_mesh2d(tmp_path / "out/mesh2d.safetensors").state_dict()

    def is_as_before():
        now = load_mesh2d(tmp_path / "out/mesh2d.safetensors").state_dict()
        return all(torch.equal(a, b) for a, b in zip(now.values(), before.values(), strict=True))

    assert main([*common, *out, "--threads", "2"]) == 0  # how fast does not matter
    assert is_as_before()
    capsys.readouterr()
    assert main([*common, *out, "--threads", "1", "--seed", "3"]) == 1
    assert "holds a training with --seed 0; give the same to go on, or another --out" in capsys.readouterr().err
    assert is_as_before()


def test_it_goes_on_from_weights(stills, tmp_path):
    common = ["train", "mesh2d", "--pairs", str(stills), "--val", str(stills), "--batch", "8", "--threads", "1"]
    assert main([*common, "--steps", "3", "--out", str(tmp_path / "first"), "--no-residual"]) == 0
    first = tmp_path / "first" / "mesh2d.safetensors"
    assert load_mesh2d(first).size == Mesh2DSize(residual=False)
    options = ["--steps", "1", "--learning-rate", "0", "--init", str(first)]
    assert main([*common, *options, "--out", str(tmp_path / "second")]) == 0
    again, start = load_mesh2d(tmp_path / "second" / "mesh2d.safetensors"), load_mesh2d(first)
    for a, b in zip(again.state_dict().values(), start.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)
