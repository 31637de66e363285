"""Videos that browsers play: the codec, the place of the index, and the time of every image."""

import functools
import http.server
import shutil
import sys
import threading

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.video import VideoWriter, open_source


def grey(value, size=(48, 64)):
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture(params=["PyAV", "OpenCV"])
def encoder(request, monkeypatch):
    """What writes videos for browsers."""
    if request.param == "PyAV":
        pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    return request.param


def test_pyav_writes_what_browsers_play(tmp_path):
    """H.264 or VP9 in 4:2:0 with the index before the images, so that it plays while it loads."""
    av = pytest.importorskip("av")
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for i in range(70):
            video.write(grey(i))
    assert video.conversion == ""
    with av.open(str(tmp_path / "v.mp4")) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name in ("h264", "vp9") and stream.codec_context.pix_fmt == "yuv420p"
        keys = [round(float(p.pts * p.time_base), 3) for p in file.demux(stream) if p.is_keyframe]
    assert keys[:2] == [0, 2]  # seconds at which a player can begin
    data = (tmp_path / "v.mp4").read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")


def test_without_pyav_it_is_said_how_to_convert(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        video.write(grey(0))
    code = int(cv2.VideoCapture(str(tmp_path / "v.mp4")).get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    if code.lower() in (b"avc1", b"h264"):
        assert video.conversion == ""
    else:
        assert (
            "v.mp4 is MPEG-4, which browsers do not play" in video.conversion
            and f"ffmpeg -i {tmp_path}/v.mp4 -c:v libx264" in video.conversion
        )


def test_a_varying_rate_lasts_as_long_as_its_source(tmp_path, encoder):
    stamps = np.r_[np.arange(30) / 30, 1 + np.arange(10) / 5]
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for i, stamp in enumerate(stamps):
            video.write_at(grey(5 * i), round(7e9 + 1e9 * stamp))
    frames = list(open_source(str(tmp_path / "v.mp4"), None))
    times = np.array([f.stamp_ns for f in frames]) * 1e-9
    shown = np.array([f.image.mean() for f in frames])
    assert times[-1] == pytest.approx(stamps[-1], abs=0.002)
    for i, stamp in enumerate(stamps):
        assert shown[np.flatnonzero(times <= stamp + 0.002)[-1]] == pytest.approx(5 * i, abs=5)
    assert encoder == "OpenCV" or len(frames) == 40  # none twice


def test_images_faster_than_the_rate_are_kept(tmp_path):
    """A rate that a container states wrongly."""
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "v.mp4", 10, for_browsers=True) as video:
        for i in range(60):
            video.write_at(grey(4 * i), i * 33_333_333)
    assert len(list(open_source(str(tmp_path / "v.mp4"), None))) == 60


def test_jumps_of_the_clock_and_equal_stamps(tmp_path, encoder):
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for stamp in (0, 33, 10**9, 10**9 + 33, 5, 38, 71):  # ms
            video.write_at(grey(0), stamp * 1_000_000)
        video.write_at(grey(0), 71_000_000)
    frames = list(open_source(str(tmp_path / "v.mp4"), None))
    assert len(frames) == 7 + (encoder == "PyAV") and frames[-1].stamp_ns < 0.3e9


@pytest.mark.parametrize("size", [(48, 64), (47, 65), (2, 2), (360, 202)])
def test_every_size(tmp_path, encoder, size):
    if encoder == "OpenCV" and min(size) < 16:
        pytest.skip("OpenCV's MPEG-4 is not asked for stamps")
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for value in (0, 100, 200):
            video.write(grey(value, size))
        video.write(grey(90, (20, 30)))  # another size is fitted
    frames = list(open_source(str(tmp_path / "v.mp4"), None))
    assert [f.image.shape[:2] for f in frames] == [tuple(n // 2 * 2 for n in size)] * 4
    assert [round(f.image.mean()) for f in frames] == pytest.approx([0, 100, 200, 90], abs=5)


def test_what_cannot_be_written_is_explained(tmp_path, encoder):
    with (
        pytest.raises(InputError, match="folder writable"),
        VideoWriter(tmp_path / "no" / "v.mp4", 10, for_browsers=True) as video,
    ):
        video.write(grey(0))


def test_a_full_disk_is_explained(tmp_path):
    pytest.importorskip("av")
    rng = np.random.default_rng(0)
    (tmp_path / "v.mp4").symlink_to("/dev/full")
    with (
        pytest.raises(InputError, match="No space left"),
        VideoWriter(tmp_path / "v.mp4", 10, for_browsers=True) as video,
    ):
        for _ in range(60):
            video.write(rng.integers(0, 255, (240, 320, 3), np.uint8))


def test_nothing_written_is_no_file(tmp_path, encoder):
    with VideoWriter(tmp_path / "v.mp4", 10, for_browsers=True):
        pass
    assert not (tmp_path / "v.mp4").exists()


def test_a_recorded_varying_rate(tmp_path, shared, encoder):
    frames = list(open_source(str(shared / "faulty_inputs/t09_vfr.mkv"), None))
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for frame in frames:
            video.write_at(frame.image, frame.stamp_ns)
    last = list(open_source(str(tmp_path / "v.mp4"), None))[-1]
    assert last.stamp_ns * 1e-9 == pytest.approx((frames[-1].stamp_ns - frames[0].stamp_ns) * 1e-9, abs=0.04)


def test_colours_are_kept(tmp_path, encoder):
    colours = np.array([[200, 40, 30], [30, 180, 60], [40, 50, 210], [90, 200, 210]], np.uint8)
    image = np.repeat(np.repeat(colours.reshape(2, 2, 3), 64, 0), 64, 1)
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for _ in range(3):
            video.write(image)
    frame = list(open_source(str(tmp_path / "v.mp4"), None))[-1].image
    assert np.abs(frame[32::64, 32::64].astype(int) - image[32::64, 32::64]).max() < 12


def test_a_real_browser_plays_it(tmp_path):
    """Chromium from a web server on loopback: the length is right, and time goes on."""
    pytest.importorskip("av")
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    stamps = np.r_[np.arange(15) / 30, 0.5 + np.arange(8) / 5]
    with VideoWriter(tmp_path / "v.mp4", 30, for_browsers=True) as video:
        for i, stamp in enumerate(stamps):
            video.write_at(grey(5 * i, (240, 320)), round(1e9 * stamp))
    (tmp_path / "index.html").write_text('<video muted src="v.mp4"></video>')
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, playwright.sync_playwright() as api:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.evaluate("document.querySelector('video').play()")  # rejected, and raised here, where it cannot be played
        page.wait_for_function("document.querySelector('video').ended", timeout=60e3)
        length, at = page.evaluate("(v => [v.duration, v.currentTime])(document.querySelector('video'))")
        browser.close()
        server.shutdown()
    assert length == at == pytest.approx(stamps[-1] + 1 / 30, abs=0.01)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
