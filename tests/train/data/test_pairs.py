"""Pairs: what BlazePose says about rendered people lies on these people; finished files are kept."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.errors import AssetError, InputError
from hmr_ros.evidence.leans import leaning
from hmr_ros.geometry.camera import project
from hmr_ros.io.model_store import HEAVY, model_file
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.train.data.pairs import load_pairs, seen_of, taken


def test_key_points_lie_on_the_rendered_people(stills, open_body):
    pairs = load_pairs(stills)
    assert np.median(pairs.score) > 0.8
    off = []
    for k in np.flatnonzero(pairs.score > 0.5):
        joints = open_body.joints(pairs.pose[k, :3], pairs.pose[k, 3:], pairs.betas[k], pairs.transl[k])
        true = project(joints, pairs.K[k])
        height = np.ptp(true[:, 1])
        seen = pairs.keypoints_2d[k, BLAZEPOSE_LIMBS, :2]
        off.append(np.linalg.norm(seen - true[SMPL_LIMBS], axis=1) / height)
    assert np.median(off) < 0.05


def test_finished_files_are_kept_and_missing_ones_made_again(stills, motion_file, tmp_path):
    argv = ["train", "pairs", "--motion", str(motion_file), "--out", str(tmp_path), "--workers", "1", "--plain"]
    argv += ["--look", "painted"]  # as the fixture
    file = tmp_path / "pairs_00000.npz"
    original = (stills / file.name).read_bytes()
    file.write_bytes(original)
    before = file.stat().st_mtime_ns
    assert main([*argv, "--count", "24"]) == 0
    assert file.stat().st_mtime_ns == before
    file.unlink()
    assert main([*argv, "--count", "24"]) == 0
    again, first = load_pairs(tmp_path), load_pairs(stills)
    for name in first.__annotations__:
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_pieces_of_motion_follow_one_person(motion_file, stills, tmp_path):
    argv = ["train", "pairs", "--motion", str(motion_file), "--out", str(tmp_path), "--workers", "1", "--plain"]
    assert main([*argv, "--count", "10", "--frames", "5"]) == 0
    pairs = load_pairs(tmp_path)
    assert pairs.sequence.tolist() == [0] * 5 + [1] * 5
    for rows in (slice(0, 5), slice(5, 10)):
        step = np.diff(pairs.time[rows])
        assert np.allclose(step, step[0]) and np.isclose(step[0], [1 / 30, 2 / 30]).any()
        assert np.ptp(pairs.betas[rows], axis=0).max() == 0
        assert np.ptp(pairs.K[rows], axis=0).max() == 0
        assert 0 < np.linalg.norm(np.diff(pairs.transl[rows], axis=0), axis=-1).max() < 0.5
    assert (load_pairs(stills).sequence == -1).all()


def test_the_limb_network_looked_too(stills):
    pairs = load_pairs(stills)
    assert np.isfinite(pairs.limbs).all()
    sure = pairs.score > 0.5
    sides = np.ptp(pairs.keypoints_2d[..., :2], axis=1).max(1)[sure]
    away = np.linalg.norm(pairs.limbs[sure, :, :2] - pairs.keypoints_2d[sure][:, BLAZEPOSE_LIMBS, :2], axis=-1)
    assert np.median(away / sides[:, None]) < 0.05
    assert (np.abs(pairs.limbs[..., 2]) <= 1).all() and (pairs.limbs[..., 3] > 0).all()
    seen, silent = seen_of(pairs), seen_of(replace(pairs, limbs=np.full_like(pairs.limbs, np.nan)))
    assert silent.leans is None and seen.leans.shape == (len(pairs), 12, 2)
    np.testing.assert_array_equal(silent.points[..., :3], seen.points[..., :3])
    np.testing.assert_allclose(silent.points[..., 3:], pairs.keypoints_3d, atol=1e-6)
    np.testing.assert_allclose(seen.points[..., 3:], leaning(silent.points[..., 3:], seen.leans), atol=1e-9)


def test_pairs_made_before_the_limb_network_are_read(stills, tmp_path):
    arrays = load_arrays(stills / "pairs_00000.npz")
    del arrays["limbs"]
    save_arrays(tmp_path / "pairs_00000.npz", **arrays)
    assert seen_of(load_pairs(tmp_path)).leans is None


def test_some_of_the_pairs_in_another_order(stills):
    pairs, rows = load_pairs(stills), np.array([5, 1, 5])
    for name in pairs.__annotations__:
        np.testing.assert_array_equal(getattr(taken(pairs, rows), name), getattr(pairs, name)[rows])


def test_no_pairs(tmp_path):
    with pytest.raises(InputError, match="hmr train pairs"):
        load_pairs(tmp_path)


def test_several_networks_are_run_on_the_same_people(motion_file, tmp_path):
    try:
        model_file(HEAVY)
    except AssetError as error:
        pytest.skip(str(error))
    argv = ["train", "pairs", "--motion", str(motion_file), "--out", str(tmp_path), "--workers", "1", "--plain"]
    assert main([*argv, "--count", "3", "--networks", "full", "heavy"]) == 0
    pairs = load_pairs(tmp_path)
    np.testing.assert_array_equal(pairs.pose[::2], pairs.pose[1::2])
    off = np.abs(pairs.keypoints_2d[::2] - pairs.keypoints_2d[1::2])[..., :2]
    assert 0 < np.median(off) < 20
    assert np.isfinite(pairs.limbs[::2]).all() and np.isnan(pairs.limbs[1::2]).all()  # it belongs to the first
    leans = seen_of(pairs).leans
    assert np.isfinite(leans[::2, :, 0]).all() and np.isinf(leans[1::2, :, 1]).all()
