"""Diff-HMR learns, a stopped training ends as an unbroken one, and its scales are those of errors."""

import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.diffusion.skeleton import rotations_from_6d, to_6d
from hmr_ros.methods.diffhmr.network import DiffHmr, DiffHmrSize, load_network
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.networks.kinematics import matrix_from_axis_angle, rooted_joints
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.stills import StillBank, StillBatch, still_bank
from hmr_ros.train.data.windows import DECODER_STEPS
from hmr_ros.train.diffhmr import calibrate, measured_landmark_sigma, measured_spread, train_diffhmr
from hmr_ros.train.loop import Schedule

SIZE = DiffHmrSize(context=64, width=64, blocks=2)


@pytest.fixture(scope="module")
def people(stills, open_body, landmarks):
    """The stills through the posture networks and the fit."""
    pairs = PairBank(load_pairs(stills), open_body, coarse_of(open_body), landmarks)
    fitter = PointFitter(sparse_points(open_body, coarse_of(open_body)))
    network = torch_posture(DECODER_STEPS, {})
    return still_bank(pairs, open_body, network, fitter, np.random.default_rng(0), Mix(augment=False), rounds=2)


def test_everybody_is_there_as_often_as_asked_with_the_truth_and_the_fit(people, open_body):
    half = len(people) // 2
    np.testing.assert_array_equal(people.features[:half], people.features[half:])
    batch = people.batch(np.arange(half))
    torch.testing.assert_close(
        batch.rotations @ batch.rotations.mT, torch.eye(3).expand(half, 24, 3, 3), atol=1e-4, rtol=0
    )
    # the fit is about the truth: its joints are nearer to it than those of another person's fit
    fitted, true = rooted_joints(rotations_from_6d(batch.poses), batch.rest), rooted_joints(batch.rotations, batch.rest)
    assert (fitted - true).norm(dim=-1).mean() < 0.5 * (fitted.roll(1, 0) - true).norm(dim=-1).mean()


def test_it_learns_the_people_that_it_sees(people, tmp_path, curve):
    train_diffhmr(people, people, SIZE, Schedule(tmp_path, 80, batch=32, every=20))
    rows = curve(tmp_path)
    for name in ("noise", "denoised", "noise_held_back"):
        assert rows[-1][name] < 0.97 * rows[0][name], name


def test_a_resumed_training_is_the_unbroken_one(people, tmp_path, monkeypatch, broken_off):
    def trained(out):
        return train_diffhmr(people, people, SIZE, Schedule(out, 6, batch=8, every=3))

    whole = trained(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_off(patch, people, 6)  # one of them is the validation's
        trained(tmp_path / "parts")
    again = trained(tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


@pytest.fixture
def many(open_body):
    """Eight hundred people whose landmarks and samples err by known sizes."""
    generator = torch.Generator().manual_seed(0)
    count = 800
    rest = torch.as_tensor(open_body.rest_joints(np.zeros(10)), dtype=torch.float32).expand(count, 24, 3)
    rotations = torch.eye(3).repeat(count, 24, 1, 1)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    pelvis = torch.tensor([0.0, 0.0, 4.0]).expand(count, 3)
    features = torch.zeros(count, 768)
    features[:, 198] = np.log(0.125)  # half a metre at four metres
    return StillBatch(features, to_6d(rotations), rotations, rest, pelvis), generator


def test_the_landmarks_error_is_found(many):
    batch, generator = many
    at = rooted_joints(batch.rotations, batch.rest)[:, SMPL_LIMBS] + batch.pelvis[:, None]
    confidence = torch.rand(len(at), 12, generator=generator)
    sigma = 0.03 + 0.2 * (1 - confidence) ** 2
    landmarks = batch.features[:, :198].reshape(-1, 33, 6).clone()
    noise = torch.randn(len(at), 12, 2, generator=generator)
    landmarks[:, BLAZEPOSE_LIMBS, :2] = at[..., :2] / at[..., 2:] / 0.125 + sigma[..., None] * noise
    landmarks[:, BLAZEPOSE_LIMBS, 2] = confidence
    features = torch.cat([landmarks.flatten(1), batch.features[:, 198:]], 1)
    clear, doubt = measured_landmark_sigma(
        StillBatch(features, *(getattr(batch, n) for n in ("poses", "rotations", "rest", "pelvis")))
    )
    assert clear == pytest.approx(0.03, rel=0.2) and doubt == pytest.approx(0.2, rel=0.15)


def test_spread_is_by_how_much_samples_scatter_too_little(many):
    """About means that are wrong by as much as samples scatter, or by twice that."""
    batch, generator = many
    found = []
    for factor in (1.0, 2.0):
        turns = 0.1 * torch.randn(len(batch.rest), 9, 24, 3, generator=generator)
        off = factor * turns[:, :1]  # the truth is another draw
        samples = matrix_from_axis_angle(turns[:, 1:] - off) @ batch.rotations[:, None]
        found.append(measured_spread(batch, samples))
    assert (found[1] > 1.5 * found[0]).all()


def test_scales_are_set_on_the_people_given(people):
    torch.manual_seed(0)
    network = DiffHmr(SIZE).eval()
    calibrate(network, people)
    for scale in (network.temperature, network.spread):
        assert torch.isfinite(scale).all() and (scale > 0).all() and not torch.equal(scale, torch.ones(24))


def test_the_command_trains_and_says_what_it_needs(stills, tmp_path, capsys):
    given = ["--pairs", str(stills), "--val", str(stills), "--calibration", str(stills), "--rounds", "1"]
    options = ["--steps", "2", "--batch", "8", "--threads", "1", "--out", str(tmp_path)]
    assert main(["train", "diffhmr", *given, *options, "--unet"]) == 0
    assert load_network(tmp_path / "diffhmr.safetensors").size.unet
    assert main(["train", "diffhmr", *given, *options, "--axis-angle"]) == 1
    assert "--no-whitening" in capsys.readouterr().err


def test_a_bank_gives_what_is_asked_for():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(5, *shape)) for shape in ((768,), (144,), (24, 3, 3), (24, 3), (3,))]
    bank = StillBank(*arrays)
    batch = bank.batch(np.array([3, 1]))
    np.testing.assert_allclose(batch.pelvis.numpy(), arrays[4][[3, 1]], rtol=1e-6)
    mean, std = bank.statistics()
    np.testing.assert_allclose(mean, np.concatenate([arrays[0], arrays[1]], 1).mean(0))
    assert (std > 0).all()
