"""Which moment is shown."""

import numpy as np
import pytest

from hmr_ros.view.browser.playback import Moment, Playback
from hmr_ros.world.gravity import LEVEL


def moment(seconds):
    return Moment(round(1e9 * seconds), [], np.eye(3), 640, 480, LEVEL)


@pytest.fixture
def playback():
    """Ten seconds at 10 Hz."""
    made = Playback()
    for i in range(101):
        made.add(moment(5 + 0.1 * i))
    return made


def shown(playback):
    return playback.current().stamp_ns * 1e-9 - 5


def test_the_newest_is_shown_until_somebody_seeks(playback):
    assert shown(playback) == pytest.approx(10)
    playback.add(moment(15.1))
    assert shown(playback) == pytest.approx(10.1)
    playback.seek(3.0)
    playback.add(moment(15.2))
    assert shown(playback) == pytest.approx(3)


def test_it_plays_at_the_pace_of_the_stamps(playback):
    playback.seek(2.0)
    playback.advance(0.55, loop=False)
    assert shown(playback) == pytest.approx(2.5)
    assert playback.position_s == pytest.approx(2.55)


def test_paused_it_stays(playback):
    playback.pause()
    playback.add(moment(16))
    playback.advance(1.0, loop=True)
    assert shown(playback) == pytest.approx(10)


def test_at_the_end_it_follows_what_comes_or_begins_anew(playback):
    playback.seek(9.9)
    playback.advance(0.2, loop=False)
    playback.add(moment(15.1))
    assert shown(playback) == pytest.approx(10.1)
    playback.seek(10.0)
    playback.advance(0.2, loop=True)
    assert shown(playback) == pytest.approx(0)


def test_following_ends_a_pause(playback):
    playback.pause()
    playback.seek(1.0)
    playback.follow()
    assert playback.playing
    assert shown(playback) == pytest.approx(10)


def test_rate_and_trail_are_those_of_the_last_seconds(playback):
    assert playback.rate() == pytest.approx(10)
    assert len(playback.trail(3.0)) == 30
    playback.seek(0.05)
    assert len(playback.trail(3.0)) == 1


def test_a_live_source_fills_no_memory():
    playback = Playback(most=5)
    for i in range(20):
        playback.add(moment(i))
    assert len(playback) == 5
    assert playback.seconds == pytest.approx(4)


def test_stamps_that_jump_back_begin_anew(playback):
    playback.seek(3.0)
    playback.add(moment(0.0))
    assert len(playback) == 1
    assert playback.current().stamp_ns == 0


def test_images_may_come_later(playback):
    playback.seek(0.3)
    playback.set_image(3, b"jpeg")
    assert playback.current().image == b"jpeg"
    playback.set_image(10**6, b"jpeg")  # of what is not kept any more
    assert len(playback) == 101


def test_nothing_is_shown_before_anything_came():
    playback = Playback()
    playback.seek(1.0)
    playback.pause()
    playback.advance(1.0, loop=True)
    assert playback.current() is None
    assert playback.seconds == playback.position_s == playback.rate() == 0
