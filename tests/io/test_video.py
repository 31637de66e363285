"""Sources of frames: what goes in comes out, and what cannot be read is explained."""

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.video import VideoWriter, open_source


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
