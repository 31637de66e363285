"""Result files come back as they were written, and bad ones are explained."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.results import ResultRecorder, load_arrays, load_humans, load_motion, save_arrays


def test_humans_round_trip(tmp_path, human):
    recorder = ResultRecorder()
    recorder.add([human, human])
    recorder.save(tmp_path / "h.npz", human.K, human.body_model)
    table = load_humans(tmp_path / "h.npz")
    assert len(table.frame) == 2 and table.track_id[1] == 7 and table.body_model == human.body_model
    for name in ("joints", "body_pose", "keypoints_2d", "transl"):
        np.testing.assert_array_equal(getattr(table, name)[0], getattr(human, name))


def test_nobody_found_keeps_the_shapes(tmp_path):
    ResultRecorder().save(tmp_path / "h.npz", np.eye(3), "open")
    arrays = load_arrays(tmp_path / "h.npz")
    assert arrays["joints"].shape == (0, 24, 3) and arrays["body_pose"].shape == (0, 69)
    assert len(load_humans(tmp_path / "h.npz").frame) == 0


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "evil.npz", frame=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="cannot read"):
        load_humans(tmp_path / "evil.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"text"])
def test_damaged_files(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot read") as caught:
        load_humans(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_missing_keys_and_nan_are_named(tmp_path, human):
    save_arrays(tmp_path / "a.npz", frame=np.arange(3))
    with pytest.raises(InputError, match="has no stamp_ns"):
        load_humans(tmp_path / "a.npz")
    recorder = ResultRecorder()
    recorder.add([human])
    human.joints[0, 0] = np.nan
    recorder.save(tmp_path / "b.npz", human.K, "open")
    with pytest.raises(InputError, match="joints holds NaN"):
        load_humans(tmp_path / "b.npz")


def test_motion_shapes_are_checked(tmp_path):
    save_arrays(tmp_path / "m.npz", poses=np.zeros((5, 72)), trans=np.zeros((4, 3)))
    with pytest.raises(InputError, match=r"expected \[F,72\]"):
        load_motion(tmp_path / "m.npz")
    save_arrays(tmp_path / "n.npz", poses=np.zeros((5, 72)), trans=np.zeros((5, 3)))
    assert load_motion(tmp_path / "n.npz").fps == 30
