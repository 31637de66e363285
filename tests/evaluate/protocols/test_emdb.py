"""EMDB's layout."""

import pickle

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols import emdb
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles


def test_truth_comes_into_the_camera_and_stays_in_the_world(emdb_folder, smpl_folder, person):
    first, second = emdb.find(emdb_folder)
    sequence = emdb.load(first, SmplFiles(smpl_folder), "emdb1")
    assert sequence.name == "P0_01_fake" and all(p.is_file() for p in sequence.images)
    (subject,) = sequence.subjects
    assert subject.frames.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]  # not where the person is out of view
    for row, i in enumerate(subject.frames):
        np.testing.assert_allclose(subject.joints[row], person.truths[i].joints, atol=1e-9)
        np.testing.assert_allclose(subject.joints_world[row], person.joints[i], atol=1e-9)
        np.testing.assert_allclose(subject.posed.vertices(row), person.truths[i].vertices, atol=1e-9)
    assert emdb.load(first, None, "emdb2") is None and emdb.load(second, None, "emdb1") is None
    assert emdb.load(second, None, "emdb2") is not None


def test_without_smpl_files_poses_and_pixels_are_left(emdb_folder, person):
    (subject,) = emdb.load(emdb.find(emdb_folder)[0], None, "emdb1").subjects
    assert subject.joints is None and subject.joints_world is None
    np.testing.assert_allclose(subject.joints_2d[0], person.truths[0].joints_2d)
    np.testing.assert_allclose(subject.posed.poses[0, :3], person.truths[0].global_orient, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"good_frames_mask": np.ones(4, bool)}, "4 entries for 10 frames"),
        ({"smpl": {"poses_root": np.zeros((10, 3))}}, "poses_body is not an array"),
        ({"camera": 3}, "camera and smpl"),
        ({"kp2d": np.zeros((10, 17, 2))}, "kp2d has shape"),
    ],
)
def test_what_is_not_as_published_is_named(emdb_folder, change, said):
    path = emdb.find(emdb_folder)[0]
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | change))
    with pytest.raises(InputError, match=said):
        emdb.load(path, None, "emdb1")


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"_data\.pkl; unpack"):
        emdb.find(tmp_path)
