"""`hmr convert` as a user runs it."""

import subprocess
import sys

import numpy as np
import pytest

from hmr_ros.body.loading import load_body
from hmr_ros.cli import main
from hmr_ros.commands.convert import _FORMATS
from hmr_ros.commands.options import CONVERT_FORMATS as FORMATS
from hmr_ros.io.results import load_motion, save_arrays
from hmr_ros.synth.motion import demo_motion


def humans(path, frames, track_ids=0, **other):
    """humans.npz of the demo's motion, 30 Hz, a level camera 4 m away."""
    body, motion, frames = load_body(), demo_motion(), np.asarray(frames)
    pose, rows = motion.poses[frames % 300], len(frames)
    orient = np.tile([np.pi, 0.0, 0.0], (rows, 1))
    transl = np.tile([0.0, 0.0, 4.0], (rows, 1))
    joints = body.joints(orient, pose[:, 3:], np.zeros((rows, 10)), transl)
    arrays = {
        "frame": frames, "stamp_ns": frames * 33_333_333, "track_id": np.zeros(rows, int) + track_ids,
        "global_orient": orient, "body_pose": pose[:, 3:], "betas": np.zeros((rows, 10)), "transl": transl,
        "joints": joints, "joints_2d": joints[..., :2], "K": np.eye(3), "body_model": np.array("open"),
    }  # fmt: skip
    save_arrays(path, **arrays | other)
    return path


def run(*words):
    return main(["convert", *map(str, words)])


def test_one_file_a_person_and_format(tmp_path, capsys):
    path = humans(tmp_path / "h.npz", np.repeat(np.arange(30), 2), np.tile([4, 9], 30))
    assert run(path, "--to", "amass", "csv", "holosmpl", "--out", tmp_path / "o") == 0
    names = {f"person_{i}{end}" for i in (4, 9) for end in ("_amass.npz", ".csv", "_holosmpl.npz")}
    assert {p.name for p in (tmp_path / "o").iterdir()} == names
    assert "person_9.csv: 30 frames, 1.00 s at 30 Hz" in capsys.readouterr().out
    assert run(path, "--to", "smplx", "--id", 9, "--out", tmp_path / "p") == 0
    assert [p.name for p in (tmp_path / "p").iterdir()] == ["person_9_smplx.npz"]


def test_gaps_are_filled_or_cut(tmp_path, capsys):
    path = humans(tmp_path / "h.npz", np.r_[0:20, 25:40, 100:130])
    assert run(path, "--to", "amass", "--out", tmp_path / "fill") == 0
    assert "person_0_part1_amass.npz: 40 frames, 1.33 s at 30 Hz, 5 interpolated" in capsys.readouterr().out
    assert len(list((tmp_path / "fill").iterdir())) == 2  # two seconds away are longer than --max-gap
    assert run(path, "--to", "amass", "--gaps", "cut", "--out", tmp_path / "cut") == 0
    assert sorted(len(load_motion(p).poses) for p in (tmp_path / "cut").iterdir()) == [15, 20, 30]
    assert run(path, "--to", "amass", "--max-gap", 5, "--fps", 15, "--out", tmp_path / "all") == 0
    (whole,) = (tmp_path / "all").iterdir()
    motion = load_motion(whole)
    assert motion.fps == 15 and len(motion.poses) == 65


def test_a_single_frame_is_a_file_too(tmp_path):
    pytest.importorskip("pygltflib")
    pytest.importorskip("pybvh")
    path = humans(tmp_path / "h.npz", [3])
    assert run(path, "--to", *FORMATS, "--out", tmp_path / "o") == 0
    assert len(list((tmp_path / "o").iterdir())) == len(FORMATS)
    assert load_motion(tmp_path / "o/person_0_amass.npz").poses.shape == (1, 72)


def bad_files(tmp_path):
    nobody = np.zeros(0, int)
    nan = np.zeros((2, 3))
    nan[1] = np.nan
    np.savez(tmp_path / "foreign.npz", poses=np.zeros((3, 72)))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    return {
        "holds nobody": humans(tmp_path / "a.npz", nobody),
        "global_orient holds NaN": humans(tmp_path / "b.npz", [0, 1], global_orient=nan),
        "has no frame": tmp_path / "foreign.npz",
        "not a complete .npz": tmp_path / "junk.npz",
        "No such file": tmp_path / "none.npz",
        "belongs to body smpl:me, not open; name its file with --body": humans(
            tmp_path / "c.npz", [0], body_model=np.array("smpl:me")
        ),
        "R_world_camera has shape (3, 3), expected": humans(tmp_path / "d.npz", [0], R_world_camera=np.eye(3)),
    }


def test_bad_files_are_refused_in_one_line(tmp_path, capsys):
    for message, path in bad_files(tmp_path).items():
        assert run(path, "--to", "csv", "--out", tmp_path / "o") == 1
        said = capsys.readouterr().err
        assert said.startswith("hmr: ") and said.count("\n") == 1 and message in said
    assert not (tmp_path / "o").exists()


def test_bad_options_are_refused_in_one_line(tmp_path, capsys):
    path = humans(tmp_path / "h.npz", [0, 1])
    (tmp_path / "file").write_text("")
    for words, message in {
        ("--id", "5"): "has no person 5; there are 0",
        ("--max-gap", "-1"): "--max-gap -1.0 is not a time",
        ("--max-gap", "nan"): "--max-gap nan is not a time",
        ("--fps", "0"): "--fps 0.0 is not a frame rate",
        ("--body", "none.npz"): "no such file",
        ("--out", str(tmp_path / "file/o")): "cannot write to",
    }.items():
        assert run(path, "--to", "csv", "--out", tmp_path / "o", *words) == 1
        said = capsys.readouterr().err
        assert said.startswith("hmr: ") and said.count("\n") == 1 and message in said


@pytest.mark.parametrize(("kind", "module"), [("bvh", "pybvh"), ("glb", "pygltflib")])
def test_a_missing_library_is_named(tmp_path, kind, module):
    path = humans(tmp_path / "h.npz", [0, 1])
    code = f"import sys; sys.modules['{module}'] = None; from hmr_ros.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "convert", path, "--to", kind, "--out", tmp_path / "o"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"needs {module}: pip install 'hmr_ros[exchange]'" in done.stderr


def test_every_format_has_a_writer():
    assert tuple(_FORMATS) == FORMATS
