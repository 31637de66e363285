"""HMDiff learns the people that it sees, a stopped training ends as an unbroken one, and its baseline is one step."""

import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_of
from hmr_ros.cli import main
from hmr_ros.io.model_store import asset
from hmr_ros.methods.hmdiff.network import Hmdiff, HmdiffSize, load_hmdiff
from hmr_ros.methods.hmdiff.source import DEPTH_M, NUM_BINS, UNIT_M
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.hmdiff import depth_bins, train_hmdiff
from hmr_ros.train.loop import Schedule

SMALL = HmdiffSize(head=128, depth=64)


@pytest.fixture
def trained(bank, stills, open_body):
    mesh, front = coarse_of(open_body), load_mesh2d(asset("mesh2d.safetensors"))
    held_back = PairBank(load_pairs(stills), open_body, mesh, bank.landmarks)

    def run(out, steps, every, mix, **options):
        schedule = Schedule(out, steps, batch=16, every=every)
        return train_hmdiff(bank, held_back, front, open_body, mesh, SMALL, schedule, mix, **options)

    return run


@pytest.mark.parametrize("one_step", [False, True])
def test_it_learns_the_people_that_it_sees(trained, tmp_path, curve, one_step):
    network = trained(tmp_path, 90, 30, Mix(augment=False), one_step=one_step)
    rows = curve(tmp_path)
    for name in ("point", "joint", "spread", "depth") + (() if one_step else ("noise",)):
        assert rows[-1][name] < 0.9 * rows[0][name], name
    assert rows[-1]["first"] < 0.92 * rows[0]["first"]
    assert one_step == bool((network.factors == 0).all())  # the covariance is measured, where samples will need it


def test_the_measured_covariance_is_that_of_errors(trained, tmp_path):
    """A A^T is a correlation: of at most unit size on its diagonal, and joints of one limb err together."""
    network = trained(tmp_path, 40, 40, Mix())
    C = (network.factors[0] @ network.factors[0].T).reshape(81, 3, 81, 3)
    assert 0.05 < C.diagonal(dim1=0, dim2=2).mean() < 4
    knee, ankle, wrist = 3, 5, 16
    assert C[knee, 2, ankle, 2] > C[knee, 2, wrist, 2]


def test_a_resumed_training_is_the_unbroken_one(trained, bank, tmp_path, monkeypatch, broken_off):
    whole = trained(tmp_path / "whole", 6, 3, Mix())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, bank, 5)
        trained(tmp_path / "parts", 6, 3, Mix())
    again = trained(tmp_path / "parts", 6, 3, Mix())
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


def test_noise_and_clean_sample_follow_from_each_other():
    """Eq. 4 and 7, at every step; at k = K the network alone says what h_0 is."""
    network, rng = Hmdiff(SMALL), torch.Generator().manual_seed(0)
    for t in (1, 300, 700, 999):
        time = torch.full((2,), float(t))
        state, v = (torch.randn(2, 3, 81, 3, generator=rng) for _ in range(2))
        noise, clean = network.noise_and_clean(state, v, time)
        a = network.alphas[t]
        torch.testing.assert_close(a.sqrt() * clean + (1 - a).sqrt() * noise, state, atol=1e-4, rtol=1e-4)
    noise, clean = network.noise_and_clean(state, v, torch.full((2,), 1000.0))
    torch.testing.assert_close(clean, -v, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(noise, state, atol=1e-3, rtol=1e-3)


def test_depth_bins_cover_their_reach():
    points = torch.zeros(1, 81, 3)
    points[0, 1:4, 2] = torch.tensor([-DEPTH_M, DEPTH_M - 1e-4, 5.0])
    bins = depth_bins(points)[0]
    assert bins[1:4].tolist() == [0, NUM_BINS - 1, NUM_BINS - 1]
    assert bins[0] == NUM_BINS // 2


def test_from_the_command_line(stills, tmp_path, capsys):
    argv = ["train", "hmdiff", "--pairs", str(stills), "--val", str(stills), "--out", str(tmp_path), "--threads", "1"]
    assert main([*argv, "--size", "paper", "--one-step", "--steps", "1", "--batch", "2"]) == 0
    size = load_hmdiff(tmp_path / "hmdiff.safetensors").size
    assert (size.dim, size.head_tokens) == (128, 0)
    assert main([*argv, "--init", str(tmp_path / "hmdiff.safetensors")]) == 1
    assert "another size" in capsys.readouterr().err
    assert main([*argv, "--synthetic-share=2"]) == 1
    assert "give 0 to 1" in capsys.readouterr().err
    assert main([*argv, "--size", "huge"]) == 1
    assert "choose from small, paper" in capsys.readouterr().err


def test_units_are_the_same_where_torch_is_missing():
    """`source` cannot import the network."""
    from hmr_ros.methods.hmdiff import source

    assert (source.UNIT_M, source.DEPTH_M) == (UNIT_M, DEPTH_M)
    assert np.isclose(source.UNIT_M, 0.3)
