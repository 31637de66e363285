"""The overlay is the same wherever it is drawn, and whatever happens to the other process is said."""

import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.commands.drawing import Style, open_drawing
from hmr_ros.errors import HmrError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.video import open_source
from hmr_ros.types import Frame


def style(folder, image, **changes):
    folder.mkdir(exist_ok=True)
    return replace(Style(folder, 15.0, image.nbytes, False, "", "none"), **changes)


def frames(images):
    return [Frame(i, i * 66_666_667, image, guess_camera(*image.shape[1::-1])) for i, image in enumerate(images)]


def drawn(how, images, people, overlap):
    drawing = open_drawing(how, overlap=overlap)
    for frame in frames(images):
        drawing.write(frame, people)
    drawing.close()
    return (how.out / "overlay.mp4").read_bytes()


def test_another_process_draws_the_same(tmp_path, rendered, human):
    images = rendered[0][:8]
    files = [drawn(style(tmp_path / str(k), images[0]), images, [human], bool(k)) for k in range(2)]
    assert files[0] == files[1]
    assert len(list(open_source(str(tmp_path / "1/overlay.mp4"), None))) == 8


def test_images_larger_than_the_first_are_drawn_too(tmp_path, human):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (height, 90, 3), np.uint8) for height in (60, 120, 60, 240)]
    files = [drawn(style(tmp_path / str(k), images[0]), images, [human], bool(k)) for k in range(2)]
    assert files[0] == files[1]


def test_an_error_of_the_other_process_comes_out_here(tmp_path, rendered):
    (tmp_path / "overlay.mp4").mkdir()
    drawing = open_drawing(style(tmp_path, rendered[0][0]), overlap=True)
    with pytest.raises(HmrError, match=r"cannot write video .*overlay.mp4"):
        for frame in frames(rendered[0] * 4):
            drawing.write(frame, [])
    drawing.close()
    assert not multiprocessing.active_children()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_dies_is_one_line(tmp_path, rendered):
    drawing = open_drawing(style(tmp_path, rendered[0][0]), overlap=True)
    drawing.write(frames(rendered[0])[0], [])
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(HmrError, match="has died"):
        for frame in frames(rendered[0] * 4):
            drawing.write(frame, [])
    drawing.close()
    assert not multiprocessing.active_children()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_that_all_processes_get_does_not_break_the_file_off(tmp_path, rendered):
    drawing = open_drawing(style(tmp_path, rendered[0][0]), overlap=True)
    (process,) = multiprocessing.active_children()
    for frame in frames(rendered[0][:12]):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, number)
        drawing.write(frame, [])
    drawing.close()
    assert len(list(open_source(str(tmp_path / "overlay.mp4"), None))) == 12
