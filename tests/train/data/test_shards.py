"""A folder of training people is of one kind: what it was begun with is kept beside the files."""

import shutil

import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.train.data.pairs import load_pairs

BEGUN = {"--look": ["painted"], "--plain": [], "--count": ["24"]}  # as the fixture


@pytest.fixture
def folder(stills, tmp_path):
    """A copy of the finished pairs."""
    return shutil.copytree(stills, tmp_path / "pairs")


def make(folder, motion_file, options):
    argv = ["train", "pairs", "--motion", str(motion_file), "--out", str(folder), "--workers", "1"]
    return main([*argv, *(word for name, values in options.items() for word in (name, *values))])


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.npz")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--look": ["lifelike"]}, "--look painted;"),
        ({"--seed": ["3"], "--frames": ["5"]}, "--seed 0, --frames 1;"),
        ({"--networks": ["full", "heavy"]}, "--networks full;"),
        ({"--plain": None}, "--plain;"),
    ],
)
def test_other_options_are_refused_in_one_line_and_nothing_is_made(folder, motion_file, capsys, change, said):
    before = contents(folder)
    options = {name: values for name, values in (BEGUN | change).items() if values is not None}
    assert make(folder, motion_file, options | {"--count": ["900"]}) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"hmr: {folder} was begun with ") and said in line and "another --out" in line
    assert contents(folder) == before


def test_another_motion_is_refused_and_the_same_elsewhere_is_not(folder, motion_file, tmp_path, capsys):
    moved = shutil.copy(motion_file, tmp_path / "moved.npz")
    assert make(folder, moved, BEGUN) == 0
    with np.load(motion_file) as file:
        np.savez(tmp_path / "other.npz", **{name: file[name][:-1] for name in file.files if file[name].ndim})
    assert make(folder, tmp_path / "other.npz", BEGUN) == 1
    assert "another file as --motion (moved.npz, now other.npz)" in capsys.readouterr().err


def test_a_folder_without_the_note_goes_on_as_before(folder, motion_file, capsys):
    (folder / "pairs.json").unlink()
    before = contents(folder)
    assert make(folder, motion_file, BEGUN | {"--look": ["lifelike"]}) == 0
    assert "make sure that the options are the same" in capsys.readouterr().out
    assert contents(folder) == before


def test_a_note_that_cannot_be_read_is_one_line(folder, motion_file, capsys):
    (folder / "pairs.json").write_text("[]")
    assert make(folder, motion_file, BEGUN) == 1
    assert capsys.readouterr().err.startswith(f"hmr: cannot read {folder / 'pairs.json'}; remove")


def test_more_people_than_before_fill_up_the_last_file(folder, stills, motion_file):
    assert make(folder, motion_file, BEGUN | {"--count": ["26"]}) == 0
    more, first = load_pairs(folder), load_pairs(stills)
    assert len(more) == 26
    for name in first.__annotations__:
        np.testing.assert_array_equal(getattr(more, name)[:24], getattr(first, name))
    before = contents(folder)
    assert make(folder, motion_file, BEGUN) == 0  # fewer again: nobody is thrown away
    assert contents(folder) == before
