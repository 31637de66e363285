"""Result files come back as they were written, and bad ones are explained."""

import io
import resource
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import (
    ResultRecorder,
    load_arrays,
    load_humans,
    load_hypotheses,
    load_motion,
    made_folder,
    save_arrays,
)
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.poses import load_recorded
from hmr_ros.types import Hypotheses


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


FIELDS = {
    "frame": np.arange(2), "stamp_ns": np.arange(2), "track_id": np.zeros(2, int), "global_orient": np.zeros((2, 3)),
    "body_pose": np.zeros((2, 69)), "betas": np.zeros((2, 10)), "transl": np.zeros((2, 3)),
    "joints": np.ones((2, 24, 3)), "joints_2d": np.zeros((2, 24, 2)), "K": np.eye(3), "body_model": np.array("open"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("K", np.zeros((2, 3, 3)), "K has shape"),
        ("K", np.full((3, 3), np.nan), "K holds NaN"),
        ("betas", np.full((2, 10), np.inf), "betas holds NaN"),
        ("joints", np.full((2, 24, 3), "a"), "expected numbers"),
        ("transl", np.zeros((2, 3), complex), "expected numbers"),
        ("frame", np.array(["a", "b"]), "expected numbers"),
        ("frame", np.array([0.0, 0.5]), "not whole numbers"),
        ("frame", np.array(3), "frame has shape"),
        ("body_pose", np.zeros((3, 69)), "body_pose has shape"),
        ("vertices", np.zeros((2, 5)), "vertices has shape"),
        ("body_model", np.array(["a", "b"]), "names 2 bodies"),
    ],
)
def test_tables_are_checked(tmp_path, name, value, said):
    save_arrays(tmp_path / "h.npz", **{**FIELDS, name: value})
    with pytest.raises(InputError, match=said) as caught:
        load_humans(tmp_path / "h.npz")
    assert "\n" not in str(caught.value)


def test_joints_behind_the_camera_may_have_no_pixel(tmp_path):
    save_arrays(tmp_path / "h.npz", **{**FIELDS, "joints_2d": np.full((2, 24, 2), np.nan)})
    assert np.isnan(load_humans(tmp_path / "h.npz").joints_2d).all()


def test_damaged_archives_never_end_in_a_traceback(tmp_path):
    save_arrays(tmp_path / "h.npz", **FIELDS)
    good, rng = (tmp_path / "h.npz").read_bytes(), np.random.default_rng(0)
    for i in range(150):
        bad = bytearray(good)
        for at in rng.integers(len(bad), size=3):
            bad[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.npz").write_bytes(bad[: rng.integers(len(bad))] if i % 4 == 0 else bad)
        try:
            load_humans(tmp_path / "b.npz")
        except InputError as error:
            assert "\n" not in str(error)


def test_a_single_array_is_not_a_result_file(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"not a complete \.npz"):
        load_arrays(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "extra",
    [
        {"fps": np.array(0.0)}, {"fps": np.array(np.nan)}, {"fps": np.ones(2)}, {"betas": np.full(10, np.nan)},
        {"betas": np.array("q")}, {"poses": np.full((5, 72), "a")}, {"poses": np.full((5, 72), np.nan)},
    ],
)  # fmt: skip
def test_motion_values_are_checked(tmp_path, extra):
    save_arrays(tmp_path / "m.npz", **{"poses": np.zeros((5, 72)), "trans": np.zeros((5, 3)), **extra})
    with pytest.raises(InputError):
        load_motion(tmp_path / "m.npz")


def test_fingers_of_wider_motion_are_not_taken_for_hands(tmp_path):
    save_arrays(tmp_path / "m.npz", poses=np.ones((5, 156)), trans=np.zeros((5, 3)), betas=np.ones((1, 16)))
    motion = load_motion(tmp_path / "m.npz")
    assert motion.poses.shape == (5, 72) and motion.poses[:, :66].all() and not motion.poses[:, 66:].any()
    assert motion.betas.shape == (10,) and motion.betas.all()


def amass(tmp_path, **extra):
    """The demo's motion as AMASS stores it: z up, 52 joints, 120 Hz by its own name."""
    motion = demo_motion(120.0)
    poses = np.zeros((len(motion.poses), 156))
    poses[:, :66] = motion.poses[:, :66]
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    poses[:, :3] = axis_angle_from_matrix(z_up @ matrix_from_axis_angle(motion.poses[:, :3]))
    trans = motion.trans @ z_up.T
    save_arrays(tmp_path / "a.npz", poses=poses, trans=trans, betas=np.zeros(16), gender=np.array("male"), **extra)
    return motion, tmp_path / "a.npz"


@pytest.mark.parametrize("rate", ["mocap_framerate", "mocap_frame_rate"])
def test_amass_stands_upright_at_its_own_rate(tmp_path, open_body, rate):
    motion, file = amass(tmp_path, **{rate: np.array(120.0)})
    read = load_motion(file)
    assert read.fps == 120
    for pose, trans, expected, place in zip(
        read.poses[::40], read.trans[::40], motion.poses[::40], motion.trans[::40], strict=True
    ):
        joints = open_body.joints(pose[:3], pose[3:], np.zeros(10), trans)
        posed = open_body.joints(expected[:3], np.r_[expected[3:66], np.zeros(6)], np.zeros(10), place)
        np.testing.assert_allclose(joints - joints[0], posed - posed[0], atol=1e-6)  # y up, as the motion was
        assert joints[SMPL["head"], 1] > joints[0, 1] + 0.4 > joints[SMPL["left_foot"], 1] + 0.8
    steps = np.diff(read.trans, axis=0), np.diff(motion.trans, axis=0)
    np.testing.assert_allclose(*steps, atol=1e-9)


def test_training_reads_amass_the_same_way(tmp_path):
    _, file = amass(tmp_path, mocap_framerate=np.array(120.0))
    poses = load_recorded(file).poses
    np.testing.assert_allclose(poses.reshape(-1, 72), load_motion(file).poses)


def test_a_motion_without_amass_rate_is_taken_as_it_is(tmp_path):
    _, file = amass(tmp_path, fps=np.array(50.0))
    motion, poses = load_motion(file), load_arrays(file)["poses"]
    np.testing.assert_array_equal(motion.poses[:, :66], poses[:, :66])
    assert motion.fps == 50


def test_a_users_amass_file(shared):
    motion = load_motion(shared / "faulty_inputs/t19_amass.npz")
    assert motion.fps == 120
    up = matrix_from_axis_angle(motion.poses[:, :3])[:, 1, 1]  # the body's y in the world's y
    assert (up > 0.7).all()


def test_archives_are_bounded_by_what_they_declare(tmp_path):
    """Three megabytes that unpack to three gigabytes: refused before anything is unpacked."""
    file = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (3 << 27,)})
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("frame.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(3 << 6):
            member.write(bytes(16 << 20))
    assert file.stat().st_size < 4 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="unpacks to 3072 MiB, at most 2048 are read"):
        load_humans(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_an_array_cannot_claim_more_than_its_archive_holds(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("frame.npy", header.getvalue() + bytes(80))
    with pytest.raises(InputError, match="cannot read"):
        load_humans(tmp_path / "x.npz")


def test_folders_are_tried_before_a_run(tmp_path, monkeypatch):
    assert made_folder(tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no such place")):
        with pytest.raises(InputError, match=r"cannot write to .*; choose another folder") as caught:
            made_folder(bad)
        assert "\n" not in str(caught.value)
    full = shutil.disk_usage(tmp_path)._replace(free=5 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="5 MiB are left on the disk; make room"):
        made_folder(tmp_path)


def test_nothing_half_written_is_left_behind(tmp_path, human):
    with pytest.raises(InputError, match="cannot write"):
        save_arrays(tmp_path / "no" / "h.npz", a=np.zeros(3))
    save_arrays(tmp_path / "h.npz", a=np.zeros(3))
    assert [p.name for p in tmp_path.iterdir()] == ["h.npz"]


def with_hypotheses(human, count):
    rng = np.random.default_rng(count)
    joints, rotations = rng.normal(size=(count, 24, 3)), rng.normal(size=(count, 24, 3, 3))
    return replace(human, hypotheses=Hypotheses(joints, rotations, np.full(count, 1 / count)))


def test_hypotheses_round_trip_row_by_row(tmp_path, human):
    people = [with_hypotheses(human, 5), human, with_hypotheses(human, 5)]
    ResultRecorder(people).save_hypotheses(tmp_path / "hypotheses.npz")
    table = load_hypotheses(tmp_path / "hypotheses.npz", 3)
    assert np.isnan(table.joints[1]).all()
    for row in (0, 2):
        np.testing.assert_allclose(table.joints[row], people[row].hypotheses.joints, rtol=1e-6)
        np.testing.assert_allclose(table.rotations[row], people[row].hypotheses.rotations, rtol=1e-6)
        assert table.weights[row].sum() == pytest.approx(1)


def test_hypotheses_of_another_table_are_refused(tmp_path, human):
    ResultRecorder([with_hypotheses(human, 5)]).save_hypotheses(tmp_path / "hypotheses.npz")
    with pytest.raises(InputError, match="do not fit 2 people"):
        load_hypotheses(tmp_path / "hypotheses.npz", 2)
    save_arrays(tmp_path / "other.npz", joints=np.zeros((1, 5, 24, 3)))
    with pytest.raises(InputError, match="has no rotations, weights"):
        load_hypotheses(tmp_path / "other.npz", 1)


def test_covariance_and_sigma_agree_in_the_file(tmp_path, human):
    ResultRecorder([human]).save(tmp_path / "h.npz", human.K, human.body_model)
    table = load_humans(tmp_path / "h.npz")
    np.testing.assert_allclose(table.joint_sigma**2, table.joint_covariance[..., [0, 3, 5]].mean(-1))
