"""The examples run as their first lines say, and what they say is right."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmr_ros.io.video import VideoWriter

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {p.name for p in EXAMPLES.glob("*.py")} == {
        "image_to_bodies.py", "video_to_table.py", "follow_right_wrist.py", "boxes_from_yolo.py",
    }  # fmt: skip


def test_image_to_bodies(tmp_path, rendered):
    images, truths, _ = rendered
    cv2.imwrite(str(tmp_path / "photo.png"), images[3])
    said = run("image_to_bodies.py", tmp_path / "photo.png", tmp_path / "bodies.png")
    assert "1 people" in said
    pelvis = np.array(said.split("pelvis [")[1].split("]")[0].split(), float)
    assert np.linalg.norm(pelvis - truths[3].joints[0]) < 0.5
    changed = np.abs(cv2.imread(str(tmp_path / "bodies.png")).astype(int) - images[3]).max(-1) > 30
    x, y = truths[3].joints_2d[0].astype(int)
    assert changed[y, x] and 0.01 < changed.mean() < 0.5


def test_video_to_table(tmp_path, rendered):
    images, truths, _ = rendered
    with VideoWriter(tmp_path / "clip.mp4", 15.0) as video:
        for image in images[:6]:
            video.write(image)
    run("video_to_table.py", tmp_path / "clip.mp4", tmp_path / "joints.csv")
    with (tmp_path / "joints.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["frame"]) for r in rows] == list(range(6)) and {r["person"] for r in rows} == {"0"}
    assert float(rows[3]["seconds"]) == pytest.approx(0.2, abs=0.002)
    wrist = np.array([float(rows[3][f"right_wrist_{axis}_m"]) for axis in "xyz"])
    assert np.linalg.norm(wrist - truths[3].joints[21]) < 0.5
