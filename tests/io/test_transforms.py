"""The buffer of /tf answers by stamp: between two transforms, never the latest, or says why it cannot."""

import threading
import time
from types import SimpleNamespace as Some

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from hmr_ros.io.transforms import TransformBuffer

S = 10**9


def transform(parent, child, stamp, pose):
    at, q = pose.translation, quaternion_from_matrix(pose.rotation)
    header = Some(frame_id=parent, stamp=Some(sec=stamp // S, nanosec=stamp % S))
    place = Some(translation=Some(x=at[0], y=at[1], z=at[2]), rotation=Some(w=q[0], x=q[1], y=q[2], z=q[3]))
    return Some(header=header, child_frame_id=child, transform=place)


def turned(angle, *place):
    return Rigid(matrix_from_axis_angle(np.array([0.0, 0.0, angle])), np.array(place, float))


MOUNT = Rigid(matrix_from_axis_angle(np.array([-1.2, 1.2, -1.2])), np.array([0.1, 0.0, 0.5]))


@pytest.fixture
def robot():
    """map -> base moves along x and turns; base -> camera -> optical stands still; map -> shelf too."""
    buffer = TransformBuffer()
    buffer.add([transform("base", "camera", 0, MOUNT), transform("camera", "optical", 0, MOUNT)], static=True)
    buffer.add([transform("map", "shelf", 0, turned(1.0, 3, 4, 0))], static=True)
    for second in range(1, 6):
        buffer.add([transform("map", "base", second * S, turned(0.2 * second, second, 0, 0))], static=False)
    return buffer


def same(a, b):
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-9)
    np.testing.assert_allclose(a.translation, b.translation, atol=1e-9)


def test_between_two_transforms(robot):
    same(robot.lookup("map", "base", 5 * S // 2, 0), turned(0.5, 2.5, 0, 0))
    same(robot.lookup("map", "optical", 3 * S, 0), turned(0.6, 3, 0, 0) @ MOUNT @ MOUNT)


def test_who_waits_when_the_buffer_is_closed_waits_no_longer(robot):
    begun = time.monotonic()
    closing = threading.Timer(0.2, robot.close)
    closing.start()
    with pytest.raises(InputError, match="not yet known"):
        robot.lookup("map", "base", 9 * S, 30.0)
    closing.join()
    assert time.monotonic() - begun < 15


def test_up_and_down_the_tree(robot):
    there = robot.lookup("shelf", "optical", 2 * S, 0)
    same(there, turned(1.0, 3, 4, 0).inverse @ turned(0.4, 2, 0, 0) @ MOUNT @ MOUNT)
    same(robot.lookup("optical", "shelf", 2 * S, 0), there.inverse)
    same(robot.lookup("optical", "optical", 2 * S, 0), Rigid())


def test_below_a_common_frame_the_moving_part_is_not_asked(robot):
    same(robot.lookup("camera", "optical", 99 * S, 0), MOUNT)


@pytest.mark.parametrize(
    ("target", "stamp", "said"),
    [
        ("map", 7 * S, "'base' in 'map' is not yet known then"),
        ("map", S // 2, "'base' in 'map' is no longer known then"),
        ("nowhere", 2 * S, "nobody says where 'nowhere' is"),
    ],
)
def test_what_is_not_known_is_said(robot, target, stamp, said):
    with pytest.raises(InputError, match=said) as caught:
        robot.lookup(target, "optical", stamp, 0)
    assert "\n" not in str(caught.value)


def test_two_trees_and_circles(robot):
    robot.add([transform("moon", "flag", 0, Rigid())], static=True)
    with pytest.raises(InputError, match="not in one tree"):
        robot.lookup("moon", "optical", 2 * S, 0)
    robot.add([transform("flag", "moon", 0, Rigid())], static=True)
    with pytest.raises(InputError, match="above itself"):
        robot.lookup("flag", "base", 2 * S, 0)


def test_it_waits_for_the_transform_that_is_on_its_way(robot):
    late = transform("map", "base", 8 * S, turned(1.6, 8, 0, 0))
    thread = threading.Timer(0.2, lambda: robot.add([late], static=False))
    thread.start()
    same(robot.lookup("map", "base", 7 * S, 30.0), turned(1.4, 7, 0, 0))
    thread.join()


def test_it_does_not_wait_for_ever(robot):
    start = time.monotonic()
    with pytest.raises(InputError):
        robot.lookup("map", "base", 9 * S, 0.1)
    assert time.monotonic() - start >= 0.1


def test_people_who_left_are_forgotten(robot):
    for i in range(3000):
        robot.add([transform("optical", f"body_{i}", i * S, Rigid())], static=False)
    assert len(robot._frames) <= 20
    same(robot.lookup("camera", "body_2999", 2999 * S, 0), MOUNT)


def test_what_is_older_than_ten_seconds_goes_and_a_recording_may_begin_anew(robot):
    robot.add([transform("map", "base", 20 * S, turned(0, 20, 0, 0))], static=False)
    with pytest.raises(InputError, match="no longer"):
        robot.lookup("map", "base", 5 * S, 0)
    for second in (1, 2):
        robot.add([transform("map", "base", second * S, turned(0, -second, 0, 0))], static=False)
    same(robot.lookup("map", "base", 3 * S // 2, 0), turned(0, -1.5, 0, 0))
