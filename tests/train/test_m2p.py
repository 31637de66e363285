"""The decoder learns along its own path, serves every step count, and a stopped training ends as an unbroken one."""

import pytest
import torch

from hmr_ros.body.coarse import coarse_of
from hmr_ros.cli import main
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.m2p import M2PSize, load_m2p
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.loop import Schedule
from hmr_ros.train.m2p import Variant, train_m2p


@pytest.fixture
def trained(bank, stills, open_body):
    mesh, front = coarse_of(open_body), load_mesh2d(asset("mesh2d.safetensors"))
    held_back = PairBank(load_pairs(stills), open_body, mesh, bank.landmarks)

    def run(out, steps, every, mix, variant=None):
        schedule = Schedule(out, steps, batch=16, every=every)
        return train_m2p(bank, held_back, front, open_body, mesh, M2PSize(), schedule, mix, variant or Variant())

    return run


@pytest.mark.parametrize("variant", [Variant(), Variant(path="vertex")])
def test_it_learns_the_people_that_it_sees(trained, tmp_path, curve, variant):
    trained(tmp_path, 90, 30, Mix(augment=False), variant)
    rows = curve(tmp_path)
    for name in ("posture", "joint", "vertex", "edge"):
        assert rows[-1][name] < 0.9 * rows[0][name], name
    assert rows[-1]["likelihood"] < rows[0]["likelihood"]
    for count in (1, 2):
        assert rows[-1][f"seen_{count}"] < 0.92 * rows[0][f"seen_{count}"]


def test_a_resumed_training_is_the_unbroken_one(trained, bank, tmp_path, monkeypatch, broken_off):
    whole = trained(tmp_path / "whole", 6, 3, Mix())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, bank, 5)
        trained(tmp_path / "parts", 6, 3, Mix())
    again = trained(tmp_path / "parts", 6, 3, Mix())
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


def test_ablations_from_the_command_line(stills, tmp_path, open_body):
    argv = ["train", "m2p", "--pairs", str(stills), "--val", str(stills), "--out", str(tmp_path), "--threads", "2"]
    options = ["--path", "vertex", "--bare-keypoints", "--size", "paper", "--steps", "1", "--batch", "2"]
    assert main([*argv, *options]) == 0
    size = load_m2p(tmp_path / "m2p.safetensors", open_body, coarse_of(open_body)).size
    assert size.points == 448 and size.bare_landmarks > 0


def test_real_errors_and_several_motions_from_the_command_line(stills, motion_file, tmp_path, capsys):
    argv = [
        "train",
        "m2p",
        "--pairs",
        str(stills),
        "--val",
        str(stills),
        "--threads",
        "1",
        "--steps",
        "1",
        "--batch",
        "8",
    ]
    argv += ["--motion", str(motion_file), str(motion_file), "--real-share", "1", "--synthetic-share", "1"]
    assert main([*argv, "--out", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "m2p.safetensors").exists()
    assert main([*argv, "--out", str(tmp_path / "b"), "--errors", str(tmp_path / "none.json")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_shares_are_shares(stills, tmp_path, capsys):
    argv = ["train", "m2p", "--pairs", str(stills), "--val", str(stills), "--out", str(tmp_path)]
    for bad in ("1.5", "-0.1", "nan"):
        for option in ("--synthetic-share", "--real-share"):
            assert main([*argv, f"{option}={bad}"]) == 1
            assert "give 0 to 1" in capsys.readouterr().err
    assert main([*argv, "--size", "huge"]) == 1
    assert "choose from small, paper" in capsys.readouterr().err
    assert not (tmp_path / "m2p.safetensors").exists()
