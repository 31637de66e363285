"""Stages of `hmr run` overlap: the same results as in turn, and an error in any of them keeps what is done."""

import json
import sys

import cv2
import numpy as np
import pytest

import hmr_ros.commands.run as command
from hmr_ros.cli import main
from hmr_ros.errors import InputError
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import open_source
from hmr_ros.pipeline import Pipeline


@pytest.fixture(scope="module")
def clip(walking_clip):
    """A rendered video of twenty-five images."""
    return str(walking_clip[0] / "clip.mp4")


def files(folder):
    with np.load(folder / "humans.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    overlay = folder / "overlay.mp4"
    return arrays, overlay.read_bytes() if overlay.exists() else b""


@pytest.mark.parametrize("options", [[], ["--fast", "--no-overlay"], ["--quality", "--max-frames", "8"]])
def test_results_are_those_in_turn_to_the_last_bit(clip, tmp_path, options):
    for name, how in (("turn", ["--in-turn"]), ("overlap", [])):
        assert main(["run", clip, "--out", str(tmp_path / name), *how, *options]) == 0
    turn, overlap = files(tmp_path / "turn"), files(tmp_path / "overlap")
    assert len(load_humans(tmp_path / "turn/humans.npz").frame) > 0
    assert turn == overlap


def test_the_summary_says_how_busy_each_stage_was(clip, tmp_path):
    assert main(["run", clip, "--out", str(tmp_path), "--recover", "kinematic", "--max-frames", "6"]) == 0
    busy = json.loads((tmp_path / "summary.json").read_text())["stage_busy"]
    assert list(busy) == ["decode", "people", "recovery", "overlay"] and all(0 <= share <= 1 for share in busy.values())


def setting():
    """How often Python's threads hand over, s, and how many threads OpenCV has."""
    return round(sys.getswitchinterval(), 6), cv2.getNumThreads()


@pytest.mark.parametrize(
    ("how", "breaks"), [([], False), ([], True), (["--in-turn"], False)], ids=["overlapping", "broken off", "in turn"]
)
def test_a_run_shares_the_process_with_its_stages_and_leaves_it_as_it_was(clip, tmp_path, monkeypatch, how, breaks):
    """While stages overlap, threads hand over fast and OpenCV has one; afterwards and in turn both are the caller's."""
    during, track = [], Pipeline.track

    def watched(*args):
        during.append(setting())
        if breaks:
            raise InputError("it broke")
        return track(*args)

    monkeypatch.setattr(Pipeline, "track", watched)
    monkeypatch.setattr(command, "usable_cores", lambda: 2)  # on one core nothing overlaps
    before = sys.getswitchinterval(), cv2.getNumThreads()
    sys.setswitchinterval(0.004)
    cv2.setNumThreads(2)
    try:
        options = ["--recover", "kinematic", "--max-frames", "2", "--no-overlay"]
        assert main(["run", clip, "--out", str(tmp_path), *how, *options]) == breaks
        assert setting() == (0.004, 2)
    finally:
        sys.setswitchinterval(before[0])
        cv2.setNumThreads(before[1])
    if how:
        assert set(during) == {(0.004, 2)}
    else:
        assert {threads for _, threads in during} == {1} and max(interval for interval, _ in during) < 0.002


def failing(at, method):
    """`method`, which fails at the call of that number."""
    calls = []

    def fails(*args):
        calls.append(1)
        if len(calls) == at:
            raise InputError("it broke")
        return method(*args)

    return fails


def broken_source(*args):
    frames = open_source(*args)
    original = frames._read
    frames._read = failing(9, original)
    return frames


QUICK = ["--recover", "kinematic", "--max-frames", "14"]


@pytest.mark.parametrize("how", [[], ["--in-turn"]], ids=["overlapping", "in turn"])
@pytest.mark.parametrize("stage", ["decode", "people", "recovery"])
def test_an_error_in_any_stage_is_one_line_and_keeps_what_is_done(clip, tmp_path, capsys, monkeypatch, how, stage):
    if stage == "decode":
        monkeypatch.setattr(command, "open_source", broken_source)
    else:
        name = {"people": "track", "recovery": "observations"}[stage]
        monkeypatch.setattr(Pipeline, name, failing(10, getattr(Pipeline, name)))
    assert main(["run", clip, "--out", str(tmp_path), *QUICK, *how]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hmr: ")]
    assert lines == ["hmr: it broke"]
    assert load_humans(tmp_path / "humans.npz").frame.tolist() == list(range(9))  # with those that refinement held
    assert len(list(open_source(str(tmp_path / "overlay.mp4"), None))) == 9
    assert json.loads((tmp_path / "summary.json").read_text())["frames"] == 9


@pytest.mark.parametrize("how", [[], ["--in-turn"]], ids=["overlapping", "in turn"])
def test_an_overlay_that_cannot_be_written_is_one_line_and_keeps_people(clip, tmp_path, capsys, how):
    (tmp_path / "overlay.mp4").mkdir()
    assert main(["run", clip, "--out", str(tmp_path), *QUICK, *how]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hmr: ")]
    assert len(lines) == 1 and "cannot write video" in lines[0]
    assert len(load_humans(tmp_path / "humans.npz").frame) > 0


def test_images_of_a_folder_may_differ_in_size(rendered, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(rendered[0][:6]):
        scale = 1 + i % 2
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(image, None, fx=scale, fy=scale))
    for name, how in (("turn", ["--in-turn"]), ("overlap", [])):
        assert main(["run", str(folder), "--out", str(tmp_path / name), "--recover", "kinematic", *how]) == 0
    assert files(tmp_path / "turn") == files(tmp_path / "overlap")
