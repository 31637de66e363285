"""`hmr view` of results: the images of their overlay, whatever clock their stamps are of."""

import json

import numpy as np
import pytest

from hmr_ros.commands.view import _read_images, _start_ns
from hmr_ros.io.video import VideoWriter, open_source
from hmr_ros.view.browser.playback import Moment, Playback

FRAMES, PERIOD_NS = 8, 100_000_000
SEEN = (2, 3, 6)  # somebody is there


@pytest.fixture
def run(tmp_path):
    """What a run leaves whose first frame has this stamp: moments with people, the results' name and their overlay."""

    def made(first_ns):
        with VideoWriter(tmp_path / "overlay.mp4", 10.0) as video:
            for k in range(FRAMES):
                video.write_at(np.full((48, 64, 3), 25 * k, np.uint8), first_ns + k * PERIOD_NS)
        (tmp_path / "summary.json").write_text(json.dumps({"first_stamp_ns": first_ns}))
        playback = Playback()
        for k in SEEN:
            playback.add(Moment(first_ns + k * PERIOD_NS, [], np.eye(3), 64, 48, np.eye(3)))
        return playback, tmp_path / "humans.npz", open_source(str(tmp_path / "overlay.mp4"), None)

    return made


@pytest.mark.parametrize("first_ns", [0, 1_764_000_000_123_456_789])
def test_every_frame_with_people_gets_its_image(run, first_ns, capsys):
    playback, results, clip = run(first_ns)
    _read_images(clip, playback, _start_ns(results), drawn=True)
    assert all(m.image is not None for m in playback.moments)
    assert capsys.readouterr().out == ""


def test_another_video_is_told(run, capsys):
    playback, _, clip = run(1_764_000_000_123_456_789)
    _read_images(clip, playback, 0, drawn=True)
    assert "is it the one that they were found in?" in capsys.readouterr().out


def test_results_without_a_summary_begin_at_zero(tmp_path):
    assert _start_ns(tmp_path / "humans.npz") == 0
    (tmp_path / "summary.json").write_text("[]")
    assert _start_ns(tmp_path / "humans.npz") == 0
