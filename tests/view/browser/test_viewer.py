"""What is kept of a frame: its people's world, and a small image with their skeletons."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hmr_ros.geometry.camera import guess_camera
from hmr_ros.types import Frame, GravitySource, WorldState
from hmr_ros.view.browser.viewer import moment_of, playback_of
from hmr_ros.world.gravity import LEVEL, rotation_of_tilt


@pytest.fixture
def frame():
    return Frame(0, 7, np.full((480, 640, 3), 90, np.uint8), guess_camera(640, 480))


def test_the_camera_stands_where_the_world_of_its_people_says(frame, human):
    R, t = rotation_of_tilt(-20.0, 5.0), np.array([0.0, 0.0, 2.1])
    world = WorldState(R, t, R @ human.joints[0] + t, np.zeros(3), np.zeros(4), GravitySource.PARAMETER, 0.02)
    moment = moment_of(frame, [human, replace(human, world=world)], 0.03)
    np.testing.assert_array_equal(moment.R_world_camera, R)
    np.testing.assert_array_equal(moment.t_world_camera, t)


def test_without_a_world_it_is_level_and_feet_say_how_high(frame, human):
    moment = moment_of(frame, [human], None)
    np.testing.assert_array_equal(moment.R_world_camera, LEVEL)
    assert moment.t_world_camera is None


def test_the_image_is_small_and_shows_skeletons_where_people_are(frame, human):
    empty, drawn = (
        cv2.imdecode(np.frombuffer(moment_of(frame, people, None).image, np.uint8), cv2.IMREAD_COLOR).astype(int)
        for people in ([], [human])
    )
    assert drawn.shape == (360, 480, 3)
    x, y = np.round(0.75 * human.joints_2d[0]).astype(int)
    assert np.abs(drawn - empty)[y - 3 : y + 4, x - 3 : x + 4].max() > 80
    assert np.abs(drawn - empty)[:20, :20].max() < 10


def test_a_recording_begins_at_its_beginning(frame, human):
    moments = [moment_of(replace(frame, stamp_ns=i * 10**9), [human], None) for i in range(3)]
    playback = playback_of(moments)
    assert playback.current() is moments[0]
    playback.advance(1.5, loop=True)
    assert playback.current() is moments[1]
