"""Sources of frames: what goes in comes out, and what cannot be read is explained."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.depth import FramesWithDepth, open_depth
from hmr_ros.io.video import VideoWriter, open_source, without_password


def image(value):
    return np.full((48, 64, 3), value, np.uint8)


def test_video_round_trip(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        for value in range(0, 200, 20):
            video.write(image(value))
    source = open_source(str(tmp_path / "v.mp4"), None)
    frames = list(source)
    assert [f.index for f in frames] == list(range(10)) and source.count == 10 and not source.truncated
    assert np.allclose([f.image.mean() for f in frames], range(0, 200, 20), atol=4)
    np.testing.assert_allclose(np.diff([f.stamp_ns for f in frames]), 1e8, atol=2e6)


def test_folder_is_read_in_natural_order(tmp_path):
    for i in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"frame{i}.png"), image(i))
    assert [int(f.image[0, 0, 0]) for f in open_source(str(tmp_path), None)] == [1, 2, 10]


def test_single_image(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), image(9))
    source = open_source(str(tmp_path / "p.png"), None)
    assert source.is_image and len(list(source)) == 1 and source.camera.guessed


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.mp4", None, "does not exist"),
        ("a.mp4", b"junk", "no image can be read"),
        ("a.png", b"junk", "cannot read"),
        ("a.txt", b"some text", "no image can be read"),
        ("empty.mp4", b"", "no image can be read"),
        ("x" * 400, None, "cannot read source"),
    ],
)
def test_unreadable_sources(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        open_source(str(tmp_path / name), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["", "a\0b", "999", "/dev/video999", "99999999999999"])
def test_sources_that_are_not_there(source):
    with pytest.raises(InputError, match=r"does not exist|no image can be read"):
        open_source(source, None)


def test_a_file_can_be_read_twice(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        for value in range(0, 200, 50):
            video.write(image(value))
    source = open_source(str(tmp_path / "v.mp4"), None)
    once, again = list(source), list(source)
    assert [f.stamp_ns for f in once] == [f.stamp_ns for f in again]
    assert all((a.image == b.image).all() for a, b in zip(once, again, strict=True))


class Camera0:
    """A camera that gives five images, fails twice in between, and is then unplugged."""

    def __init__(self, source):
        self.answers = iter([1, 2, None, None, 3, 4, 5])

    def isOpened(self):
        return True

    def get(self, key):
        return 0.0

    def read(self):
        value = next(self.answers, None)
        return value is not None, None if value is None else image(value)


def test_live_stamps_grow_even_when_the_clock_steps_back(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera0)
    wall = iter(range(10**18, 0, -(10**9)))
    monkeypatch.setattr("time.time_ns", lambda: next(wall))
    source = open_source("0", None)
    frames = list(source)
    assert source.is_live and source.count is None and source.truncated
    assert [f.image[0, 0, 0] for f in frames] == [2, 3, 4, 5]  # the first was old when it was asked for
    assert (np.diff([f.stamp_ns for f in frames]) > 0).all()
    assert abs(frames[0].stamp_ns - 10**18) < 10**10


@pytest.mark.parametrize("fps", [0.5, 7.4999, 23.976, 29.97, 66.667, 119.873, 240.123456])
def test_every_rate_of_a_phone_can_be_written(tmp_path, fps):
    with VideoWriter(tmp_path / "v.mp4", fps) as video:
        for value in (0, 100, 200):
            video.write(image(value))
    source = open_source(str(tmp_path / "v.mp4"), None)
    assert source.fps == pytest.approx(fps, rel=1e-3) and len(list(source)) == 3


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e6])
def test_rates_that_cannot_be_written(tmp_path, fps):
    with pytest.raises(InputError, match="frames per second"):
        VideoWriter(tmp_path / "v.mp4", fps)


def test_a_video_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(InputError, match="folder writable"), VideoWriter(tmp_path / "no" / "v.mp4", 10) as video:
        video.write(image(0))


def test_images_of_another_size_are_fitted(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        video.write(image(50))
        video.write(np.full((30, 90, 3), 50, np.uint8))
    assert [f.image.shape for f in open_source(str(tmp_path / "v.mp4"), None)] == [(48, 64, 3)] * 2


def test_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        open_source(str(tmp_path), None)


def test_truncated_video_keeps_what_is_there(tmp_path):
    with VideoWriter(tmp_path / "v.avi", 10) as video:
        for i in range(60):
            video.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    data = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    source = open_source(str(tmp_path / "cut.avi"), None)
    assert 10 < len(list(source)) < 60


def test_a_broken_stream_is_flagged(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        for i in range(60):
            video.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    data = bytearray((tmp_path / "v.mp4").read_bytes())
    start = data.find(b"mdat")
    data[start + len(data) // 2 : data.rfind(b"moov") - 4] = bytes(
        data.rfind(b"moov") - 4 - start - len(data) // 2
    )  # the index is whole, the second half of the images is not
    (tmp_path / "cut.mp4").write_bytes(data)
    source = open_source(str(tmp_path / "cut.mp4"), None)
    assert 10 < len(list(source)) < 60 and source.truncated


def test_cameras_from_numbers_and_files(tmp_path):
    assert read_camera("500,510,320,240").K[1, 1] == 510
    file = tmp_path / "k.yaml"
    file.write_text(
        "image_width: 640\nimage_height: 480\ncamera_matrix: {rows: 3, cols: 3, data: [500,0,320,0,500,240,0,0,1]}\n"
        "distortion_model: plumb_bob\ndistortion_coefficients: {data: [0.1, 0, 0, 0, 0]}\n"
    )
    camera = read_camera(str(file))
    assert camera.width == 640 and camera.distortion[0] == 0.1


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,1,1", "no-such-file.yaml", "nan,1,1,1"])
def test_bad_cameras(text):
    with pytest.raises(InputError):
        read_camera(text)


def test_one_unreadable_image_does_not_end_a_folder(tmp_path, caplog):
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image(10 * i))
    for broken in (0, 3, 5):
        (tmp_path / f"{broken}.png").write_bytes(b"junk")
    source = open_source(str(tmp_path), None)
    frames = list(source)
    assert [(f.index, int(f.image[0, 0, 0])) for f in frames] == [(1, 10), (2, 20), (4, 40)]
    assert [round(f.stamp_ns * 30e-9) for f in frames] == [1, 2, 4] and source.skipped == 3
    assert caplog.text.count("image left out: cannot read image") == 3
    for name in ("1", "2", "4"):
        (tmp_path / f"{name}.png").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"0\.png or any other there"):
        open_source(str(tmp_path), None)


def test_depth_stays_with_its_image_where_one_is_left_out(tmp_path):
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image(10 * i))
    (tmp_path / "1.png").write_bytes(b"junk")
    (tmp_path / "3.png").write_bytes(b"junk")
    depths = [np.full((48, 64), 1000 * (i + 1), np.uint16) for i in range(4)]
    frames = list(FramesWithDepth(open_source(str(tmp_path), None), open_depth(depths)))
    assert [(f.index, round(float(f.depth[0, 0]), 3)) for f in frames] == [(0, 1.0), (2, 3.0)]


ODD = os.fsdecode(b"na\xefve \xff")  # as old disks and cameras name things


def test_names_need_not_be_utf_8(tmp_path):
    """Handed to OpenCV such a name ends the process; a child process shows that it lives."""
    folder = tmp_path / ODD
    folder.mkdir()
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from hmr_ros.io.video import VideoWriter, open_source, save_image\n"
        "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
        "with VideoWriter(folder / (name + '.mp4'), 10) as video:\n"
        "    for value in (0, 100, 200): video.write(np.full((48, 64, 3), value, np.uint8))\n"
        "print(len(list(open_source(str(folder / (name + '.mp4')), None))))\n"
        "save_image(folder / (name + '.png'), np.full((48, 64, 3), 7, np.uint8))\n"
        "print([int(f.image[0, 0, 0]) for f in open_source(str(folder / (name + '.png')), None)])\n"
        "print([int(f.image[0, 0, 0]) for f in open_source(str(folder), None)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, ODD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["3", "[7]", "[7]"]
    assert sorted(p.name for p in folder.iterdir()) == [f"{ODD}.mp4", f"{ODD}.png"]


def test_urls(tmp_path):
    cv2.imwrite(str(tmp_path / "my image.png"), image(9))
    assert len(list(open_source(f"file://{tmp_path}/my%20image.png", None))) == 1
    with pytest.raises(InputError, match="cannot read a source of 'gopher://'; give a path, or one of http"):
        open_source("gopher://old.example/clip.mp4", None)
    with pytest.raises(InputError, match="is the address right") as caught:
        open_source("http://user:secret@127.0.0.1:9/clip.mp4", None)
    assert "secret" not in str(caught.value)
    assert without_password("rtsp://me:secret@10.0.0.7/1?x=@") == "rtsp://10.0.0.7/1?x=@"


def test_a_stream_is_read_like_a_file(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        for value in range(0, 200, 20):
            video.write(image(value))
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_port}/v.mp4", None)
        assert len(list(source)) == 10 and not source.is_live
        source.close()
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_cameras_lasting_name_is_followed(monkeypatch):
    opened = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda name: opened.append(name) or Camera0(name))
    monkeypatch.setattr(Path, "resolve", lambda self: Path("/dev/video3"))
    assert open_source("/dev/v4l/by-id/usb-Maker_Camera-video-index0", None).is_live
    assert opened == ["/dev/video3"]


def test_the_time_of_a_varying_rate_is_kept(tmp_path):
    """Thirty images a second, then five: the video lasts as long, each image shown at its time."""
    stamps = [*(i / 30 for i in range(30)), *(1 + i / 5 for i in range(10))]
    with VideoWriter(tmp_path / "v.mp4", 30) as video:
        for i, stamp in enumerate(stamps):
            video.write_at(image(5 * i), round(7e9 + 1e9 * stamp))
    shown = [float(f.image.mean()) for f in open_source(str(tmp_path / "v.mp4"), None)]
    assert len(shown) == round(stamps[-1] * 30) + 1
    for i, stamp in enumerate(stamps):
        assert shown[round(stamp * 30)] == pytest.approx(5 * i, abs=4)


def test_a_constant_rate_shows_every_image_once(tmp_path):
    for fps in (23.976, 29.97, 15.0):
        with VideoWriter(tmp_path / "v.mp4", fps) as video:
            for i in range(100):
                video.write_at(image(i), round(i * 1e9 / fps) // 1_000_000 * 1_000_000)  # containers count milliseconds
        assert len(list(open_source(str(tmp_path / "v.mp4"), None))) == 100


def test_jumps_of_the_clock_do_not_fill_the_disk(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 30) as video:
        for stamp in (0, 33, 10**9, 10**9 + 33, 5, 38):  # ms
            video.write_at(image(0), stamp * 1_000_000)
    assert len(list(open_source(str(tmp_path / "v.mp4"), None))) == 6


def test_recorded_varying_rate(shared):
    stamps = [f.stamp_ns for f in open_source(str(shared / "faulty_inputs/t09_vfr.mkv"), None)]
    gaps = np.round(np.diff(stamps) * 1e-6)
    assert set(gaps[:60]) <= {33, 34} and set(gaps[61:]) == {200}


def test_ten_bits_in_sixteen_are_not_black(shared):
    frame = next(iter(open_source(str(shared / "faulty_inputs/t07_10bit_in_16.png"), None)))
    assert 40 < frame.image.mean() < 220 and frame.image.max() > 200


@pytest.mark.parametrize("name", ["v.mp4", "p.png", ""])
def test_sources_above_the_limit_of_pixels_are_refused(tmp_path, name):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        video.write(image(90))
    cv2.imwrite(str(tmp_path / "p.png"), image(90))
    assert open_source(str(tmp_path / name), None, 48 * 64).width == 64
    with pytest.raises(InputError, match=r"image of 64x48 has more than .* raise input\.max_megapixels"):
        open_source(str(tmp_path / name), None, 48 * 64 - 1)


def test_images_that_declare_more_than_memory_holds(tmp_path):
    png = bytearray(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    png[16:24] = (30_000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(InputError, match="cannot read image"):
        open_source(str(tmp_path / "bomb.png"), None)
