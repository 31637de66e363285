"""From motion to weights through the command line: pairs are made, kept, batched; both networks train and load."""

import numpy as np
import pytest
import torch

from hmr_ros.cli import main
from hmr_ros.errors import AssetError, InputError
from hmr_ros.io.model_store import HEAVY, model_file
from hmr_ros.methods.posturehmr.forward import fk_state
from hmr_ros.methods.posturehmr.graphs import coarse_of, load_m2p, load_mesh2d
from hmr_ros.synth.motion import demo_motion
from hmr_ros.train.data.batches import Mix, PairBank, with_true_keypoints
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.mesh2d import true_points_2d

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    motion = demo_motion()
    np.savez(root / "motion.npz", poses=motion.poses, trans=motion.trans)
    argv = ["train", "pairs", "--motion", str(root / "motion.npz"), "--out", str(root / "set"), "--workers", "1"]
    assert main([*argv, "--count", str(COUNT), "--plain"]) == 0
    return root


@pytest.fixture(scope="module")
def bank(folder, open_body):
    landmarks = load_mesh2d_weights()
    return PairBank(load_pairs(folder / "set"), open_body, coarse_of(open_body), landmarks)


def load_mesh2d_weights():
    from hmr_ros.io.model_store import asset

    return load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()


def test_pairs_are_people_that_blazepose_saw(folder):
    pairs = load_pairs(folder / "set")
    assert len(pairs) == COUNT
    assert np.median(pairs.score) > 0.8


def test_finished_files_are_kept(folder):
    file = next((folder / "set").glob("*.npz"))
    before = file.stat().st_mtime_ns
    argv = ["train", "pairs", "--motion", str(folder / "motion.npz"), "--out", str(folder / "set")]
    assert main([*argv, "--count", str(COUNT), "--plain"]) == 0
    assert file.stat().st_mtime_ns == before


def test_pieces_of_motion_follow_one_person(folder):
    argv = ["train", "pairs", "--motion", str(folder / "motion.npz"), "--out", str(folder / "moving"), "--workers", "1"]
    assert main([*argv, "--count", "10", "--frames", "5", "--plain"]) == 0
    pairs = load_pairs(folder / "moving")
    assert pairs.sequence.tolist() == [0] * 5 + [1] * 5
    for rows in (slice(0, 5), slice(5, 10)):
        assert (np.diff(pairs.time[rows]) > 0).all()
        assert np.ptp(pairs.betas[rows], axis=0).max() == 0
        assert np.ptp(pairs.K[rows], axis=0).max() == 0
        assert 0 < np.linalg.norm(np.diff(pairs.transl[rows], axis=0), axis=-1).max() < 0.5
    assert (load_pairs(folder / "set").sequence == -1).all()


def test_truth_projects_onto_the_landmarks(bank):
    """Camera, body, mirroring and rolling agree: true points lie where the key points are, in every kind of batch."""
    rng = np.random.default_rng(0)
    W = torch.as_tensor(bank.landmarks, dtype=torch.float32)
    for mix in (Mix(augment=False), Mix(invented=0.0), Mix(invented=1.0)):
        batch = bank.batch(np.arange(len(bank)), rng, mix)
        uv = W @ true_points_2d(bank.posed, batch)
        assert (uv - batch.points[..., :2]).norm(dim=-1).median() < 0.12
    exact = with_true_keypoints(bank, np.arange(len(bank)), depth=True)
    xyz = W @ fk_state(bank.posed, exact.pose, exact.betas, 0 * exact.scale)
    placed = xyz + exact.pelvis[:, None]
    uv = placed[..., :2] / placed[..., 2:] / exact.scale[:, None, None]
    torch.testing.assert_close(uv, exact.points[..., :2], atol=2e-3, rtol=0)
    hips = (xyz[:, [23]] + xyz[:, [24]]) / 2
    world = (xyz - hips).norm(dim=-1)
    torch.testing.assert_close(exact.points[..., 3:].norm(dim=-1), world, atol=2e-3, rtol=0)


def test_depth_is_left_out_for_some(bank):
    batch = bank.batch(np.arange(len(bank)), np.random.default_rng(0), Mix(without_depth=0.5))
    without = (batch.points[..., 3:] == 0).all(-1).all(-1)
    assert 0 < without.sum() < len(bank)


def test_both_networks_train_from_the_command_line(folder, open_body):
    common = ["--pairs", str(folder / "set"), "--val", str(folder / "set"), "--steps", "3", "--batch", "8"]
    assert main(["train", "mesh2d", *common, "--out", str(folder / "mesh2d"), "--threads", "2"]) == 0
    weights = folder / "mesh2d" / "mesh2d.safetensors"
    argv = ["train", "m2p", *common, "--out", str(folder / "m2p"), "--mesh2d", str(weights), "--threads", "2"]
    assert main(argv) == 0
    ablation = ["--path", "vertex", "--bare-keypoints", "--size", "paper", "--steps", "1", "--batch", "2"]
    assert main([*argv[:-8], *ablation, "--out", str(folder / "large"), *argv[-4:]]) == 0
    load_m2p(folder / "large" / "m2p.safetensors", open_body, coarse_of(open_body))
    load_mesh2d(weights)
    load_m2p(folder / "m2p" / "m2p.safetensors", open_body, coarse_of(open_body))
    assert (folder / "m2p" / "curve.csv").read_text().count("\n") == 2


def test_no_pairs(tmp_path):
    with pytest.raises(InputError, match="hmr train pairs"):
        load_pairs(tmp_path)


def test_no_cuda_is_said_before_anything_is_read(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    argv = ["train", "mesh2d", "--pairs", "x", "--val", "x", "--out", str(tmp_path), "--device", "cuda"]
    assert main(argv) == 1
    assert "use --device cpu" in capsys.readouterr().err


def test_several_networks_look_at_the_same_people(folder):
    try:
        model_file(HEAVY)
    except AssetError as error:
        pytest.skip(str(error))
    argv = ["train", "pairs", "--motion", str(folder / "motion.npz"), "--out", str(folder / "both"), "--workers", "1"]
    assert main([*argv, "--count", "3", "--plain", "--networks", "full", "heavy"]) == 0
    pairs = load_pairs(folder / "both")
    full, heavy = pairs.pose[::2], pairs.pose[1::2]
    np.testing.assert_array_equal(full, heavy)
    off = np.abs(pairs.keypoints_2d[::2] - pairs.keypoints_2d[1::2])[..., :2]
    assert 0 < np.median(off) < 20
