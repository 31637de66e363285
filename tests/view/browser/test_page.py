"""The page in a real browser: the body stands on the floor, from a file and from a source; bad input in one line."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.io.results import ResultRecorder, save_arrays
from hmr_ros.synth.render import truth_arrays
from hmr_ros.view.browser.figure import CONTACT_COLOR
from hmr_ros.view.skeleton import track_color
from hmr_ros.world.gravity import LEVEL

pytest.importorskip("viser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking",
]  # fmt: skip
WAIT_S = 120.0
SIZE = {"width": 900, "height": 560}
PANEL_PX = 340  # on the right


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def served(browser, *arguments):
    """`hmr view` in a process of its own, and its page."""
    command = [sys.executable, "-m", "hmr_ros", "view", *arguments, "--port", str(free_port())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        said = next((line for line in process.stdout if "http://" in line), None)
        assert said is not None, f"it ended with {process.wait()}"
        page = browser.new_page(viewport=SIZE)
        page.goto(said.split()[1])
        page.get_by_label("trails").uncheck(timeout=1e3 * WAIT_S)  # they have the colour of their bodies
        yield page
        page.close()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=WAIT_S) == 130
        process.stdout.close()


def screenshot(page):
    data = np.frombuffer(page.screenshot(timeout=1e3 * WAIT_S), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :-PANEL_PX]


def body_pixels(image, track_id):
    """[H,W] the largest thing with the hue of an identity and more colour than floor and background."""
    hue = int(cv2.cvtColor(np.uint8([[track_color(track_id)]]), cv2.COLOR_BGR2HSV)[0, 0, 0])
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(int)
    alike = (np.abs(hsv[..., 0] - hue) < 12) & (hsv[..., 1] > 70) & (hsv[..., 2] > 60)
    _, labels, sizes, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8))
    return labels == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA]) if len(sizes) > 1 else alike


def stands_on_the_floor(image, track_id):
    """Whether a body higher than wide stands there, with the floor under its feet and the background above."""
    rows, columns = np.nonzero(body_pixels(image, track_id))
    if len(rows) < 1500:
        return False
    below = min(rows.max() + 8, len(image) - 1), int(np.median(columns[rows > rows.max() - 10]))
    sky, floor = np.median(image[:10], axis=(0, 1)), np.median(image[-10:], axis=(0, 1))
    return np.ptp(rows) > np.ptp(columns) and sky.max() < 40 < floor.max() and image[below].max() > 40


def until_somebody_stands(page, track_id):
    """Drawn in software, that takes its time."""
    until(lambda: stands_on_the_floor(screenshot(page), track_id), "nobody ever stood on the floor")


def test_results_are_played_back(browser, walking_clip):
    folder, _ = walking_clip
    with served(browser, str(folder / "truth.npz"), "--video", str(folder / "clip.mp4")) as page:
        until_somebody_stands(page, 0)
        text = page.inner_text("body")
        assert "images/s" in text and "tracked" in text and "distance" in text
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Play").wait_for(timeout=1e3 * WAIT_S)
        time.sleep(0.5)
        paused = page.inner_text("body")
        time.sleep(0.5)
        assert page.inner_text("body") == paused
        page.get_by_role("button", name="Play").click()
        page.get_by_role("button", name="Pause").wait_for(timeout=1e3 * WAIT_S)


def yellow(image):
    """How many pixels have the colour of the rings under feet that stand."""
    hue = int(cv2.cvtColor(np.uint8([[CONTACT_COLOR[::-1]]]), cv2.COLOR_BGR2HSV)[0, 0, 0])
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(int)
    return int(((np.abs(hsv[..., 0] - hue) < 8) & (hsv[..., 1] > 130) & (hsv[..., 2] > 130)).sum())


def until(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_feet_that_stand_are_marked(browser, rendered, tmp_path):
    """In the list, and by rings on the floor that go with their box."""
    _, truths, camera = rendered
    rows, R, t = len(truths), np.tile(LEVEL, (len(truths), 1, 1)), np.tile([0.0, 0.0, 1.1], (len(truths), 1))
    roots = np.array([LEVEL @ truth.joints[0] for truth in truths]) + t
    world = {
        "R_world_camera": R,
        "t_world_camera": t,
        "root_world": roots,
        "contacts": np.tile([0.9, 0.8, 0, 0], (rows, 1)),
    }
    save_arrays(tmp_path / "truth.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=False), **world)
    with served(browser, str(tmp_path / "truth.npz")) as page:
        until_somebody_stands(page, 0)
        until(lambda: yellow(screenshot(page)) > 40, "no ring")
        assert "stands on" in page.inner_text("body") and "left" in page.inner_text("body")
        page.get_by_label("contacts").uncheck(timeout=1e3 * WAIT_S)
        until(lambda: yellow(screenshot(page)) < 5, "rings stay")


def test_people_of_a_source_are_shown_while_they_are_found(browser, walking_clip):
    folder, camera = walking_clip
    with served(browser, str(folder / "clip.mp4"), "--camera", camera) as page:
        until_somebody_stands(page, 0)
        assert "intrinsics" in page.inner_text("body")


def fails(capsys, *arguments):
    assert main(["view", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    return said


def test_a_port_in_use_is_named(capsys, walking_clip):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert f"127.0.0.1:{port}" in fails(capsys, str(walking_clip[0] / "truth.npz"), "--port", port)
    assert "--port" in fails(capsys, str(walking_clip[0] / "truth.npz"), "--port", "99999")


def test_what_cannot_be_shown(capsys, tmp_path, walking_clip, human):
    assert "either a source or --ros" in fails(capsys)
    assert "no such file" in fails(capsys, str(tmp_path / "nothing.npz")).lower()
    ResultRecorder().save(tmp_path / "humans.npz", np.eye(3), "open")
    assert "nobody" in fails(capsys, str(tmp_path))
    ResultRecorder([human]).save(tmp_path / "humans.npz", np.eye(3), "smpl:other")
    assert "--body" in fails(capsys, str(tmp_path))
