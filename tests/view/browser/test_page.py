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
from hmr_ros.io.video import VideoWriter
from hmr_ros.synth.render import truth_arrays
from hmr_ros.view.skeleton import track_color

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
def walker(rendered, tmp_path_factory):
    """A clip of one person who walks, its truth and its intrinsics."""
    images, truths, camera = rendered
    folder = tmp_path_factory.mktemp("view")
    with VideoWriter(folder / "clip.mp4", 15.0) as video:
        for image in images:
            video.write(image)
    save_arrays(folder / "truth.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=False))
    K = camera.K
    return folder, f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"


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
        assert process.wait(timeout=30) == 130
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
    deadline = time.monotonic() + WAIT_S
    while not stands_on_the_floor(screenshot(page), track_id):
        assert time.monotonic() < deadline, "nobody ever stood on the floor"
        time.sleep(0.5)


def test_results_are_played_back(browser, walker):
    folder, _ = walker
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


def test_people_of_a_source_are_shown_while_they_are_found(browser, walker):
    folder, camera = walker
    with served(browser, str(folder / "clip.mp4"), "--camera", camera) as page:
        until_somebody_stands(page, 0)
        assert "intrinsics" in page.inner_text("body")


def fails(capsys, *arguments):
    assert main(["view", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    return said


def test_a_port_in_use_is_named(capsys, walker):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert f"127.0.0.1:{port}" in fails(capsys, str(walker[0] / "truth.npz"), "--port", port)
    assert "--port" in fails(capsys, str(walker[0] / "truth.npz"), "--port", "99999")


def test_what_cannot_be_shown(capsys, tmp_path, walker, human):
    assert "either a source or --ros" in fails(capsys)
    assert "no such file" in fails(capsys, str(tmp_path / "nothing.npz")).lower()
    ResultRecorder().save(tmp_path / "humans.npz", np.eye(3), "open")
    assert "nobody" in fails(capsys, str(tmp_path))
    ResultRecorder([human]).save(tmp_path / "humans.npz", np.eye(3), "smpl:other")
    assert "--body" in fails(capsys, str(tmp_path))
