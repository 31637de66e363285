"""Windows for the prior: truth and evidence agree in every kind of batch; the prior trains from the command line."""

import numpy as np
import pytest
import torch

from hmr_ros.cli import main
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.errors import InputError
from hmr_ros.evidence.grid import Grid
from hmr_ros.methods.scorehmr.prior import PriorSize, load_prior
from hmr_ros.networks.kinematics import kinematics
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.poses import load_recorded
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.windows import TARGETS, window_bank

FRAMES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("windows")
    motion = demo_motion()
    np.savez(root / "motion.npz", poses=motion.poses, trans=motion.trans)
    argv = ["train", "pairs", "--motion", str(root / "motion.npz"), "--out", str(root / "set"), "--workers", "1"]
    assert main([*argv, "--count", str(4 * FRAMES), "--frames", str(FRAMES), "--plain"]) == 0
    return root


@pytest.fixture(scope="module")
def bank(folder):
    recorded = load_recorded(folder / "motion.npz")
    return window_bank(load_pairs(folder / "set"), PriorSize(), recorded, 2, np.random.default_rng(0))


def joints_of(pose, rest):
    placed = kinematics(rotations_from_6d(pose), rest.repeat_interleave(TARGETS, 0))[1]
    return (placed - placed[:, :1]).reshape(-1, TARGETS, 24, 3)


@pytest.mark.parametrize("turn", [False, True])
def test_poses_and_joints_are_one_person(bank, turn):
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(1), turn=turn)
    torch.testing.assert_close(joints_of(batch.x0, batch.rest), batch.joints, atol=1e-4, rtol=0)


@pytest.mark.parametrize("turn", [False, True])
def test_what_was_recovered_is_near_the_truth_in_the_same_axes(bank, turn):
    index, rng = np.repeat(np.arange(len(bank)), 4), np.random.default_rng(2)
    batch = bank.batch(index, rng, turn=turn)
    own = batch.poses[:, bank.size.past - 1]
    distance = (joints_of(own, batch.rest) - batch.joints).norm(dim=-1)
    assert distance.median() < 0.12


def test_nothing_of_the_future_is_seen_live(bank):
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(0), first=2, past=1, future=0)
    own = bank.size.past - 1
    assert (batch.present[:, own] == 1).all()
    assert (batch.present[:, own + 1 :] == 0).all()
    assert (batch.present[:, : own - 1] == 0).all()


def test_training_windows_are_those_of_a_live_track(bank):
    """The same frames by stamps, as live, and by the training's grid."""
    n = int(np.flatnonzero(np.isclose(bank.seconds, 1 / 30))[0]) if np.isclose(bank.seconds, 1 / 30).any() else 0
    batch = bank.batch(np.array([n]), np.random.default_rng(0), first=4, past=None, future=0, turn=False)
    times = np.arange(FRAMES) * bank.seconds[n]
    grid = Grid(bank.size.past, bank.size.slots)
    window, present = grid.sampled(bank.features[n, :5].astype(np.float64), times[:5], times[4])
    np.testing.assert_array_equal(present, batch.present[0].numpy())
    seen = present > 0
    np.testing.assert_allclose(window[seen], batch.window[0].numpy()[seen], atol=2e-3)


def test_prior_trains_and_loads(folder):
    common = ["--pairs", str(folder / "set"), "--val", str(folder / "set"), "--motion", str(folder / "motion.npz")]
    argv = ["train", "prior", *common, "--out", str(folder / "prior"), "--steps", "2", "--batch", "4"]
    assert main([*argv, "--invented", "2", "--threads", "2"]) == 0
    prior = load_prior(folder / "prior" / "prior.safetensors")
    assert prior.size == PriorSize()


def test_single_pictures_are_refused(folder):
    argv = ["train", "pairs", "--motion", str(folder / "motion.npz"), "--out", str(folder / "single"), "--workers", "1"]
    assert main([*argv, "--count", "3", "--plain"]) == 0
    with pytest.raises(InputError, match="--frames"):
        window_bank(load_pairs(folder / "single"), PriorSize(), None, 0, np.random.default_rng(0))
