"""A batch end to end: results as of `hmr run`, failures reported, killed and resumed without doing anything twice."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.io.video import VideoWriter

QUICK = ["--recover", "kinematic", "--refine", "none", "--max-frames", "4", "--no-overlay"]
PROCESSES = ["--ray", "none", "--workers", "2"]


@pytest.fixture(scope="module")
def clips(rendered, tmp_path_factory):
    """Four clips and one that is no clip."""
    folder = tmp_path_factory.mktemp("clips")
    images, _, _ = rendered
    for k in range(4):
        with VideoWriter(folder / f"clip_{k}.mp4", 15.0) as video:
            for image in images[3 * k : 3 * k + 8]:
                video.write(image)
    (folder / "corrupt.mp4").write_bytes(b"no video")
    return folder


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def equal(a, b):
    with np.load(a) as first, np.load(b) as second:
        return first.files == second.files and all(np.array_equal(first[k], second[k]) for k in first.files)


@pytest.mark.parametrize("pool", ["none", "local"])
def test_results_are_those_of_single_runs_and_a_corrupt_item_does_not_stop_the_rest(clips, tmp_path, capsys, pool):
    if pool == "local":
        pytest.importorskip("ray")
    out = tmp_path / "out"
    assert main(["batch", str(clips), "--out", str(out), "--ray", pool, "--workers", "2", *QUICK]) == 1
    assert "4 of 5 items done, 1 failed" in capsys.readouterr().out
    for k in (0, 3):
        assert main(["run", str(clips / f"clip_{k}.mp4"), "--out", str(tmp_path / f"{k}"), *QUICK]) == 0
        assert equal(out / f"clip_{k}" / "humans.npz", tmp_path / f"{k}" / "humans.npz")
    items = {row["name"]: row for row in rows(out / "items.csv")}
    assert {name: row["status"] for name, row in items.items()} == {
        "clip_0": "done", "clip_1": "done", "clip_2": "done", "clip_3": "done", "corrupt": "failed",
    }  # fmt: skip
    assert "complete" in items["corrupt"]["error"] and items["clip_0"]["frames"] == "4"
    assert float(items["clip_0"]["peak_mb"]) > 20  # NumPy alone takes that
    tracks = rows(out / "tracks.csv")
    assert len(tracks) == 4 and {t["track_id"] for t in tracks} == {"0"}
    assert all(1 < float(t["distance_m"]) < 10 and t["frames"] == "4" for t in tracks)
    assert "focal length guessed" in (out / "clip_0" / "log.txt").read_text()


def test_killed_and_resumed_nothing_is_lost_and_nothing_done_twice(clips, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "hmr_ros", "batch", str(clips), "--out", str(out), "--ray", "none"]
    process = subprocess.Popen([*command, "--workers", "1", *QUICK], start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("clip_*/item.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("clip_*/item.json")}
    assert 1 <= len(before) < 4, "killed in the middle"
    assert main(["batch", str(clips), "--out", str(out), *PROCESSES, *QUICK]) == 1
    assert len(list(out.glob("clip_*/humans.npz"))) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(rows(out / "items.csv")) == 5


def test_another_configuration_is_another_result(clips, tmp_path):
    one = [str(clips / "clip_0.mp4"), "--out", str(tmp_path), *PROCESSES, "--recover", "kinematic", "--refine", "none"]
    frames = []
    for count in ("2", "3", "3"):
        assert main(["batch", *one, "--max-frames", count]) == 0
        frames.append(json.loads((tmp_path / "clip_0" / "item.json").read_text())["frames"])
    assert frames == [2, 3, 3]


def test_a_worker_that_dies_is_replaced_and_its_item_tried_again(clips, tmp_path, capsys):
    arguments = ["batch", str(clips / "clip_1.mp4"), "--out", str(tmp_path), "--ray", "none", *QUICK[:4]]
    killed = []

    def kill_the_first():
        while not (tmp_path / "clip_1" / "log.txt").exists():
            time.sleep(0.01)
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker.pid)

    thread = threading.Thread(target=kill_the_first)
    thread.start()
    assert main(arguments) == 0
    thread.join()
    assert killed
    outcome = json.loads((tmp_path / "clip_1" / "item.json").read_text())
    assert outcome["status"] == "done" and outcome["attempts"] == 2 and outcome["frames"] == 8


def test_a_worker_that_dies_again_is_reported(clips, tmp_path, capsys):
    def kill_all():
        while not done.is_set():
            for worker in multiprocessing.active_children():
                if (tmp_path / "clip_1" / "log.txt").exists():
                    os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.01)

    done = threading.Event()
    thread = threading.Thread(target=kill_all)
    thread.start()
    try:
        arguments = [str(clips / "clip_1.mp4"), "--out", str(tmp_path), "--ray", "none", *QUICK, "--retries", "0"]
        assert main(["batch", *arguments]) == 1
    finally:
        done.set()
        thread.join()
    assert "its worker died" in capsys.readouterr().out


def test_bags_and_videos_in_one_batch(clips, tmp_path, rendered, write_bag):
    write_bag(tmp_path / "walk", rendered[0][:4])
    arguments = [str(tmp_path / "walk"), str(clips / "clip_0.mp4"), "--out", str(tmp_path / "out"), *PROCESSES]
    assert main(["batch", *arguments, *QUICK]) == 0
    assert (tmp_path / "out" / "walk" / "bag" / "metadata.yaml").is_file()
    assert {row["name"] for row in rows(tmp_path / "out" / "tracks.csv")} == {"walk", "clip_0"}


def test_what_cannot_be_run_is_one_line(tmp_path, capsys):
    assert main(["batch", str(tmp_path / "no.mp4"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("hmr: no such input")
    (tmp_path / "list.txt").write_text("# nothing\n")
    assert main(["batch", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("hmr: there is nothing to do")
