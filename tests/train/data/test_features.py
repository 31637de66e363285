"""Features for the limb network: made, kept, and true of the crops that they belong to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import DIRECTED_BONES_SMPL, SMPL
from hmr_ros.cli import main
from hmr_ros.errors import InputError
from hmr_ros.io.model_store import asset
from hmr_ros.networks.limbs import SIZE, SIZE_BONES, load_limbs
from hmr_ros.train.data.features import load_features, sines_of, truth_of


def test_each_person_is_seen_twice_once_in_the_mirror(features):
    people = load_features(features)
    assert len(people) == 20 and people.features.shape[1:] == (32, 32, 32)
    assert people.features.dtype == np.float16 and np.isfinite(people.features).all()
    np.testing.assert_array_equal(people.mirrored[::2] + people.mirrored[1::2], 1)
    np.testing.assert_array_equal(people.joints[::2], people.joints[1::2])


def test_the_truth_is_that_of_the_image_that_was_seen(features):
    """In both crops of a person the same, but for the mirror, for how each lies, and for where it is aimed at."""
    people = load_features(features)
    truth = truth_of(people)
    bones = np.array(SIZE_BONES)
    lengths = np.linalg.norm(truth.joints[:, bones[:, 1]] - truth.joints[:, bones[:, 0]], axis=-1).sum(1)
    np.testing.assert_allclose(lengths, SIZE, rtol=1e-5)
    assert np.abs(truth.points[:, 0]).max() < 0.25  # pelvis
    mirror = np.r_[5:10, 0:5, 10:12]
    across = np.r_[np.ones(10), -np.ones(2)]  # a bone from left to right points the other way in the mirror
    np.testing.assert_allclose(truth.sines[::2], truth.sines[1::2][:, mirror] * across, atol=1e-5)


def test_a_crop_that_is_turned_turns_the_truth(features):
    people = load_features(features)
    turned = truth_of(replace(people, angle_rad=people.angle_rad + np.float32(np.pi / 2)))
    truth = truth_of(people)
    plain = people.mirrored == 0
    for name, count in (("points", 2), ("joints", 3)):
        before, after = (getattr(t, name)[plain] for t in (truth, turned))
        expected = np.concatenate([before[..., 1:2], -before[..., :1], before[..., 2:count]], -1)
        np.testing.assert_allclose(after, expected, atol=1e-4)


def test_the_mirror_is_where_it_is_noted(features):
    """What the landmark network held of a crop shows the true limbs on the side that the note says."""
    people = load_features(features)
    network, truth = load_limbs(asset("limbs.safetensors")), truth_of(people)
    with torch.no_grad():
        said = network(torch.from_numpy(people.features.astype(np.float32)).permute(0, 3, 1, 2)).points.numpy()
    for mirrored in (0, 1):
        rows = people.mirrored == mirrored
        away = np.linalg.norm(said[rows] - truth.points[rows], axis=-1)
        assert np.median(away) < 0.03
        other = truth_of(replace(people, mirrored=1 - people.mirrored)).points[rows]
        assert np.median(np.linalg.norm(said[rows] - other, axis=-1)) > 1.6 * np.median(away)


def test_a_bone_along_its_line_of_sight_leans_all_the_way():
    joints = np.zeros((1, 24, 3))
    joints[0, SMPL["left_shoulder"]], joints[0, SMPL["left_elbow"]] = [1.0, 1.0, 2.0], [1.5, 1.5, 3.0]
    joints[0, SMPL["left_wrist"]] = [1.5, -1.5, 3.0]
    sines = sines_of(joints, DIRECTED_BONES_SMPL)[0]
    assert sines[0] == pytest.approx(1.0) and sines[1] == pytest.approx(0.0)


def test_files_made_with_other_options_are_not_mixed(features, motion_file, tmp_path, capsys):
    argv = ["train", "features", "--motion", str(motion_file), "--out", str(features), "--plain"]
    assert main([*argv, "--look", "lifelike", "--count", "10", "--workers", "1"]) != 0
    other = tmp_path / "other.npz"
    with np.load(motion_file) as motion:
        np.savez(other, **{**motion, "poses": motion["poses"][:-1]} | {k: v[:-1] for k, v in motion.items()})
    argv = [*argv[:3], str(other), *argv[4:], "--look", "painted", "--count", "10", "--workers", "1"]
    assert main(argv) != 0 and "another file as --motion" in capsys.readouterr().err


def test_an_empty_folder_names_the_command(tmp_path):
    with pytest.raises(InputError, match="hmr train features"):
        load_features(tmp_path)
