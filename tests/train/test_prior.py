"""The prior learns, on the networks that it is told to refine, and a stopped training ends as an unbroken one."""

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.io.model_store import asset
from hmr_ros.methods.scorehmr.prior import PriorSize, load_prior
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.windows import window_bank
from hmr_ros.train.loop import Schedule
from hmr_ros.train.prior import answered, joints_of, train_prior


@pytest.fixture(scope="module")
def windows(moving):
    return [window_bank(load_pairs(moving), PriorSize(), None, 0, np.random.default_rng(0)) for _ in range(2)]


def trained(windows, out, steps, every):
    torch.manual_seed(0)
    return train_prior(*windows, PriorSize(), Schedule(out, steps, batch=16, every=every))


def test_it_learns_the_people_that_it_sees(windows, tmp_path, curve):
    trained(windows, tmp_path, 480, 40)  # the pose begins with the recovered one, and gets worse for the first half
    rows = curve(tmp_path)
    for name in ("noise", "pose", "joint", "acceleration", "denoised", "answer", "steadiness"):
        assert rows[-1][name] < 0.97 * rows[0][name], name
    assert rows[-1]["pa_live"] < 0.9 * rows[0]["pa_live"] and rows[-1]["acc_live"] < rows[0]["acc_live"]
    assert rows[-1]["acc_live_answered"] < rows[0]["acc_live_answered"]


def test_what_training_takes_for_the_answer_follows_the_landmarks(windows):
    """Guided as live: joints lie nearer to their rays than those that the evidence expects, in every axes."""
    bank, net = windows[0], load_prior()._network
    batch = bank.batch(np.repeat(np.arange(len(bank)), 3), np.random.default_rng(0))
    with torch.inference_mode():
        said = net.evidence(batch.window, batch.poses, batch.present)
        joints = answered(net, batch, *said)
    expected = joints_of(said[1], batch.fitted_rest)
    now = batch.window[:, bank.size.past - 1].double()
    landmarks = now[:, : 33 * 6].reshape(-1, 33, 6)[:, BLAZEPOSE_LIMBS]
    rays, confidence = landmarks[..., :2] * now[:, 33 * 6].exp()[:, None, None], landmarks[..., 2]

    def beside(found):
        limbs = found.flatten(0, 1)[:, SMPL_LIMBS].double()
        z = limbs[..., 2:] + batch.depth[:, None, None]
        plane = limbs[..., :2] / z - rays
        plane = plane - (confidence[..., None] * plane).sum(1, keepdim=True) / confidence.sum(1)[:, None, None]
        return float((confidence * plane.norm(dim=-1)).mean())

    assert beside(joints) < 0.8 * beside(expected)
    torch.testing.assert_close(joints, expected, atol=0.4, rtol=0)


def test_a_resumed_training_is_the_unbroken_one(windows, tmp_path, monkeypatch, broken_off):
    whole = trained(windows, tmp_path / "whole", 6, 3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, windows[0], 5)
        trained(windows, tmp_path / "parts", 6, 3)
    again = trained(windows, tmp_path / "parts", 6, 3)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def others(stills, tmp_path_factory):
    """Weights of networks that are not installed: trained for two steps."""
    out = tmp_path_factory.mktemp("others")
    common = ["--pairs", str(stills), "--val", str(stills), "--steps", "2", "--batch", "8", "--threads", "1"]
    assert main(["train", "mesh2d", *common, "--out", str(out)]) == 0
    (out / "checkpoint.pt").unlink()
    mesh2d = out / "mesh2d.safetensors"
    assert main(["train", "m2p", *common, "--out", str(out), "--mesh2d", str(mesh2d)]) == 0
    return mesh2d, out / "m2p.safetensors"


def test_windows_are_those_of_the_given_networks(windows, moving, others, recorded):
    def bank(mesh2d, m2p):
        rng = np.random.default_rng(0)
        return window_bank(load_pairs(moving), PriorSize(), recorded, 2, rng, mesh2d=mesh2d, m2p=m2p)

    installed = bank(asset("mesh2d.safetensors"), asset("m2p.safetensors"))
    count = len(windows[0])
    np.testing.assert_allclose(installed.poses[:count], windows[0].poses, atol=1e-4)  # what is shipped is the default
    for mesh2d, m2p in ((others[0], None), (None, others[1]), others):
        other = bank(mesh2d, m2p)
        assert np.abs(other.poses - installed.poses).mean() > 0.01
        np.testing.assert_array_equal(other.rotations[:count], installed.rotations[:count])  # the truth stays
    # landmarks of synthetic motions stand for what the given 2D mesh network says
    assert np.abs(bank(others[0], None).features - installed.features)[count:].max() > 0


def test_the_command_trains_on_the_given_networks(moving, motion_file, others, tmp_path, capsys):
    common = ["--pairs", str(moving), "--val", str(moving), "--motion", str(motion_file), "--batch", "4"]
    argv = ["train", "prior", *common, "--synthetic-motions", "2", "--steps", "2", "--threads", "2"]
    assert main([*argv, "--out", str(tmp_path / "shipped")]) == 0
    files = ["--mesh2d", str(others[0]), "--m2p", str(others[1])]
    assert main([*argv, *files, "--out", str(tmp_path / "own")]) == 0
    shipped, own = (load_prior(tmp_path / name / "prior.safetensors") for name in ("shipped", "own"))
    assert own.size == PriorSize()
    means = [p._network.evidence.mean for p in (shipped, own)]  # of the features that it was trained on
    assert (means[0] - means[1]).abs().max() > 0.05
    assert main([*argv, "--m2p", str(tmp_path / "none"), "--out", str(tmp_path / "none")]) == 1
    assert "no weights" in capsys.readouterr().err
    assert main([*argv, "--synthetic-motions=-1", "--out", str(tmp_path / "none")]) == 1
    assert "give 0 or more" in capsys.readouterr().err
