"""The mean of weights: what is in it, and what is refused."""

import json

import torch
from safetensors import safe_open

from hmr_ros.cli import main
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D, Mesh2DSize, load_mesh2d
from hmr_ros.networks.weights import save_weights


def saved(path, value, hidden=4):
    size = Mesh2DSize(points=2, hidden=hidden)
    network = Mesh2D(size)
    for p in network.parameters():
        torch.nn.init.constant_(p, value)
    save_weights(path, "mesh2d", network, size, {"value": value})
    return str(path)


def test_the_mean_is_the_mean_and_says_of_what(tmp_path):
    one, two = saved(tmp_path / "1.safetensors", 1.0), saved(tmp_path / "2.safetensors", 4.0)
    out = tmp_path / "mean.safetensors"
    assert main(["train", "mean", one, one, two, "--out", str(out)]) == 0
    assert all(torch.allclose(p, torch.tensor(2.0)) for p in load_mesh2d(out).parameters())
    with safe_open(str(out), framework="pt") as f:
        notes = json.loads(f.metadata()["notes"])
    assert [n["value"] for n in notes["mean of"]] == [1.0, 1.0, 4.0]


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    one, wide = saved(tmp_path / "1.safetensors", 1.0), saved(tmp_path / "2.safetensors", 1.0, hidden=8)
    out = str(tmp_path / "mean.safetensors")
    for others, said in (
        ([], "two weight files"),
        ([wide], "another size"),
        ([str(asset("m2p.safetensors"))], "another network"),
        ([str(tmp_path / "none.safetensors")], "cannot read"),
    ):
        assert main(["train", "mean", one, *others, "--out", out]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "mean.safetensors").exists()


def test_it_is_written_where_there_is_no_folder_yet_and_a_file_in_the_way_is_named(tmp_path, capsys):
    one = saved(tmp_path / "1.safetensors", 1.0)
    assert main(["train", "mean", one, one, "--out", str(tmp_path / "new/mean.safetensors")]) == 0
    assert load_mesh2d(tmp_path / "new/mean.safetensors")
    assert main(["train", "mean", one, one, "--out", f"{one}/mean.safetensors"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("hmr: cannot write")
