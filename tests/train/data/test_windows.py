"""Windows for the prior: truth and evidence are one person in one set of axes, in every kind of batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.joints import BLAZEPOSE, SMPL
from hmr_ros.cli import main
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.errors import InputError
from hmr_ros.evidence.features import SLOT_S, Grid
from hmr_ros.evidence.leans import NO_LEANS
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.scorehmr.prior import PriorSize
from hmr_ros.networks.kinematics import kinematics
from hmr_ros.synth.poses import PoseSampler
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.landmark_errors import KINDS, BoneErrors, RealErrors, lean_of
from hmr_ros.train.data.pairs import load_pairs, taken
from hmr_ros.train.data.windows import TARGETS, moving_people, recovered, synthetic_motions, window_bank

FRAMES = 8


@pytest.fixture(scope="module")
def bank(moving, recorded):
    return window_bank(load_pairs(moving), PriorSize(), recorded, 2, np.random.default_rng(0))


@pytest.fixture
def exact(moving, recorded):
    """A bank whose recovered poses are the true ones, in the axes of the real camera; every other person at 15 Hz."""
    bank = window_bank(load_pairs(moving), PriorSize(), recorded, 2, np.random.default_rng(0))
    rotations = bank.rotations.copy()
    rotations[:, :, 0] = bank.aim @ rotations[:, :, 0]
    bank.poses = np.swapaxes(rotations[..., :2], -1, -2).reshape(*rotations.shape[:2], 144)
    bank.seconds = np.where(np.arange(len(bank)) % 2, 2, 1) * SLOT_S
    return bank


def joints_of(pose, rest):
    placed = kinematics(rotations_from_6d(pose), rest.repeat_interleave(TARGETS, 0))[1]
    return (placed - placed[:, :1]).reshape(-1, TARGETS, 24, 3)


@pytest.mark.parametrize("change", ["short", "lost"])
def test_pairs_without_a_whole_piece_of_motion_are_refused(moving, change):
    pairs = load_pairs(moving)
    if change == "short":
        pairs = taken(pairs, np.flatnonzero(np.isin(pairs.time, np.unique(pairs.time)[:1])))
    else:
        pairs = replace(pairs, score=np.zeros_like(pairs.score))
    with pytest.raises(InputError, match="hmr train pairs --frames 12"):
        moving_people(pairs)


@pytest.mark.parametrize("turn", [False, True])
def test_poses_and_joints_are_one_person(bank, turn):
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(1), turn=turn)
    torch.testing.assert_close(joints_of(batch.x0, batch.rest), batch.joints, atol=1e-4, rtol=0)


@pytest.mark.parametrize("turn", [False, True])
def test_without_noise_what_was_recovered_is_the_truth(exact, turn):
    """Aimed, mirrored and rolled: a target's own slot holds its pose, the slots around it those of its neighbours."""
    index, own = np.repeat(np.arange(len(exact)), 6), exact.size.past - 1
    batch = exact.batch(index, np.random.default_rng(2), turn=turn)
    torch.testing.assert_close(batch.poses[:, own], batch.x0, atol=1e-4, rtol=0)
    windows = batch.poses.reshape(len(index), TARGETS, exact.size.slots, 144)
    x0 = batch.x0.reshape(len(index), TARGETS, 144)
    # limbs do not depend on the axes that the camera is aimed in
    this, following = x0[:, 0, 6:], x0[:, 1, 6:]
    near, far = windows[:, 0, own + 1, 6:], windows[:, 0, own + 2, 6:]

    def equal(a, b):
        return (a - b).abs().amax(1) < 1e-4

    at_30_hz = equal(near, following)
    at_15_hz = equal(near, (this + following) / 2) & equal(far, following)
    assert (at_30_hz | at_15_hz).all() and (at_30_hz & ~at_15_hz).any() and (at_15_hz & ~at_30_hz).any()


@pytest.mark.parametrize("turn", [False, True])
def test_what_was_recovered_is_near_the_truth_in_the_same_axes(bank, turn):
    index, rng = np.repeat(np.arange(len(bank)), 4), np.random.default_rng(2)
    batch = bank.batch(index, rng, turn=turn)
    own = batch.poses[:, bank.size.past - 1]
    distance = (joints_of(own, batch.rest) - batch.joints).norm(dim=-1)
    assert distance.median() < 0.12


def test_synthetic_motions_without_noise_are_recorded_motion(moving, recorded, open_body, landmarks):
    """Their world landmarks are the body's own, their rotations and their speed those of the recording."""
    pairs = load_pairs(moving)
    people = moving_people(pairs)
    pair_bank = PairBank(taken(pairs, people.rows), open_body, coarse_of(open_body), landmarks)
    pair_bank.residual_2d, pair_bank.residual_3d = 0 * pair_bank.residual_2d, 0 * pair_bank.residual_3d
    rng = np.random.default_rng(0)
    made = synthetic_motions(pair_bank, people, PoseSampler(recorded, rng), rng, 12)
    flat = made.rotations.reshape(-1, 24, 3, 3)
    truth = pair_bank.truth(axis_angle_from_matrix(flat), flat[:, 0], np.repeat(made.betas, FRAMES, 0))
    xyz = landmarks @ truth
    world = np.linalg.norm(xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2, axis=-1)
    found = np.linalg.norm(made.points.reshape(-1, 33, 6)[..., 3:], axis=-1)
    np.testing.assert_allclose(found, world, atol=2e-3)
    assert set(np.round(made.seconds / SLOT_S).astype(int)) <= {1, 2}
    assert len(made.rows) == 0


def test_synthetic_motions_may_err_as_real_people_do(moving, recorded, open_body, landmarks):
    """Without rendered errors all that is left is the table's: arms that lean towards the camera in every frame."""
    pairs = load_pairs(moving)
    people = moving_people(pairs)
    pair_bank = PairBank(taken(pairs, people.rows), open_body, coarse_of(open_body), landmarks)
    pair_bank.residual_2d, pair_bank.residual_3d = 0 * pair_bank.residual_2d, 0 * pair_bank.residual_3d
    none = BoneErrors(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    table = dict.fromkeys(KINDS, none) | {"upper_arm": BoneErrors(1.0, -40.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)}
    errors = RealErrors(table, 0.04, 0.5)
    leans = []
    for share in (0.0, 1.0):
        rng = np.random.default_rng(0)
        made = synthetic_motions(pair_bank, people, PoseSampler(recorded, rng), rng, 30, errors, share)
        arm = made.points[..., BLAZEPOSE["left_elbow"], 3:] - made.points[..., BLAZEPOSE["left_shoulder"], 3:]
        leans.append(np.degrees(lean_of(arm)[1]))
    turned = leans[1] - leans[0]
    assert (turned[np.abs(leans[0]) < 45] == pytest.approx(-40.0, abs=1e-3)) and turned.max() < 1e-6


def test_people_are_fitted_with_what_the_limb_network_said_of_their_arms(moving, open_body):
    people = moving_people(load_pairs(moving))
    assert np.isfinite(people.leans[..., 0]).all() and np.isfinite(people.leans[..., 1]).mean() > 0.5
    network, fitter = torch_posture(2), PointFitter(sparse_points(open_body, coarse_of(open_body)))
    silent = replace(people, leans=np.tile(NO_LEANS, (*people.scale.shape, 1, 1)))
    told, untold = (recovered(some, network, fitter) for some in (people, silent))
    np.testing.assert_array_equal(told.features, untold.features)
    arms = np.array([SMPL[f"{side}_{joint}"] for side in ("left", "right") for joint in ("shoulder", "elbow")])
    moved = np.abs(told.poses - untold.poses).reshape(-1, 24, 6).max((0, 2))
    assert moved[arms].max() > 0.05 and moved[arms].max() > moved[[SMPL["left_knee"], SMPL["right_knee"]]].max()


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


def test_single_images_are_refused(stills):
    with pytest.raises(InputError, match="--frames"):
        window_bank(load_pairs(stills), PriorSize(), None, 0, np.random.default_rng(0))


def test_the_command_wants_pieces_of_motion(stills, tmp_path, capsys):
    argv = ["train", "prior", "--pairs", str(stills), "--val", str(stills), "--out", str(tmp_path), "--threads", "1"]
    assert main(argv) == 1
    assert "hmr train pairs --frames 12" in capsys.readouterr().err
