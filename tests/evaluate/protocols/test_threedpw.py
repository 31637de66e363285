"""3DPW's layout: what is read is what was written; what cannot be read is said in one line."""

import pickle
import shutil

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols import threedpw
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles


class Attack:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def loaded(folder, smpl=None):
    (path,) = threedpw.find(folder, "test")
    return threedpw.load(path, smpl)


def test_truth_comes_into_the_camera(threedpw_folder, smpl_folder, person):
    sequence = loaded(threedpw_folder, SmplFiles(smpl_folder))
    assert sequence.name == "downtown_fake_00" and sequence.images[3].name == "image_00003.jpg"
    assert all(p.is_file() for p in sequence.images) and sequence.moving
    she, other = sequence.subjects
    assert she.frames.tolist() == other.frames.tolist() == list(range(9))  # the last camera pose is not valid
    for i in range(9):
        truth = person.truths[i]
        np.testing.assert_allclose(she.joints[i], truth.joints, atol=1e-9)
        np.testing.assert_allclose(she.joints_2d[i], truth.joints_2d, atol=1e-6)
        np.testing.assert_allclose(she.posed.vertices(i), truth.vertices, atol=1e-9)
    larger = np.ptp(other.posed.vertices(0), axis=0) / np.ptp(she.posed.vertices(0), axis=0)
    assert (larger > 1.05).all()  # the women's body


def test_without_smpl_files_joints_are_left(threedpw_folder, person):
    she, _ = loaded(threedpw_folder).subjects
    np.testing.assert_allclose(she.joints[0], person.truths[0].joints, atol=1e-9)
    assert she.posed.vertices(0) is None
    np.testing.assert_allclose(she.posed.poses[0, 3:], person.truths[0].body_pose)


def test_a_foreign_pickle_is_refused_and_not_run(threedpw_folder):
    path = threedpw_folder / "sequenceFiles/test/downtown_fake_00.pkl"
    path.write_bytes(pickle.dumps({"sequence": Attack()}))
    with pytest.raises(InputError, match=r"builtins\.exec.*refused, not run"):
        threedpw.load(path, None)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="damaged"):
        threedpw.load(path, None)
    path.write_bytes(pickle.dumps({"sequence": "x"}))
    with pytest.raises(InputError, match="has no poses, betas"):
        threedpw.load(path, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequence": "../../elsewhere"}, "not the name of a sequence"),
        ({"genders": ["m"]}, "genders is not a list"),
        ({"genders": ["m", "robot"]}, "genders or betas of person 1"),
        ({"cam_intrinsics": np.eye(4)}, "cam_intrinsics has shape"),
        ({"poses": [np.full((10, 72), np.nan)] * 2}, "poses has shape"),
        ({"campose_valid": [np.ones(3, bool)] * 2}, "3 entries for 10 frames"),
    ],
)
def test_what_is_not_as_published_is_named(threedpw_folder, change, said):
    path = threedpw_folder / "sequenceFiles/test/downtown_fake_00.pkl"
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(content | change, protocol=2))
    with pytest.raises(InputError, match=said):
        threedpw.load(path, None)


def test_folders_that_are_missing(threedpw_folder, tmp_path):
    with pytest.raises(InputError, match="give the folder of 3DPW"):
        threedpw.find(tmp_path / "nothing", "test")
    with pytest.raises(InputError, match=r"sequenceFiles\.zip"):
        threedpw.find(threedpw_folder, "train")
    shutil.rmtree(threedpw_folder / "sequenceFiles/test")
    (threedpw_folder / "sequenceFiles/test").mkdir()
    with pytest.raises(InputError, match=r"holds no \.pkl"):
        threedpw.find(threedpw_folder, "test")
