"""The comparison of two versions: equal files are equal, and every kind of difference is found."""

import numpy as np
import pytest
from same_answers import compare, differences


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(4, 24, 3))
    joints[2, 5] = np.nan
    return {"joints": joints, "frame": np.arange(4), "body_model": np.array("open")}


def saved(folder, name, arrays):
    (folder / name).mkdir(parents=True)
    np.savez(folder / name / "humans.npz", **arrays)
    return folder


def test_equal_files_are_equal(tmp_path, arrays, capsys):
    near = arrays | {"joints": arrays["joints"] + 0.9e-6}
    assert compare(saved(tmp_path / "a", "clip", arrays), saved(tmp_path / "b", "clip", near)) == 0
    assert "9e-07" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        {"joints": np.zeros((4, 24, 3))},
        {"joints": np.zeros((3, 24, 3))},
        {"frame": np.array([0, 1, 2, 4])},
        {"body_model": np.array("smpl")},
        {"more": np.zeros(1)},
    ],
)
def test_differences_are_found(tmp_path, arrays, change, capsys):
    assert compare(saved(tmp_path / "a", "clip", arrays), saved(tmp_path / "b", "clip", arrays | change)) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_a_number_beside_nan_is_a_difference(arrays):
    filled = arrays | {"joints": np.nan_to_num(arrays["joints"])}
    assert not all(equal for _, _, equal in differences(arrays, filled))


def test_a_clip_that_is_missing(tmp_path, arrays, capsys):
    before = saved(tmp_path / "a", "clip", arrays)
    saved(before, "other", arrays)
    assert compare(before, saved(tmp_path / "b", "clip", arrays)) == 1
    assert "other" in capsys.readouterr().out
    assert compare(tmp_path / "none", tmp_path / "neither") == 1
