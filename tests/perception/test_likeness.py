"""Two looks on one body are known as such, and two people are not taken for one."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.geometry.camera import guess_camera
from hmr_ros.perception.likeness import box, covers, is_explained, meet, overlap, roi_distance, same_body
from hmr_ros.types import Frame, Keypoints, Roi

FRAME = Frame(0, 0, np.zeros((480, 640, 3), np.uint8), guess_camera(640, 480))


def body(x, y, size, seed=0):
    """Landmarks within a box of `size` by half of it."""
    rng = np.random.default_rng(seed)
    points = np.array([x, y]) + size * (rng.random((33, 2)) - 0.5) * [0.5, 1.0]
    return Keypoints(np.c_[points, np.ones(33)], np.zeros((33, 3)), 1.0, Roi(np.array([x, y], float), 1.25 * size, 0.0))


def shaken(keypoints, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, (33, 2))
    return replace(keypoints, keypoints_2d=np.c_[keypoints.keypoints_2d[:, :2] + noise, np.ones(33)])


def test_one_body_seen_twice():
    a = body(300, 240, 200)
    assert same_body(a, shaken(a, 8.0)) and overlap(a, shaken(a, 8.0), FRAME) > 0.8


@pytest.mark.parametrize("x", [380, 220])
def test_somebody_beside_is_another(x):
    assert not same_body(body(300, 240, 200), body(x, 240, 200, seed=2))


def test_parts_of_a_known_person_are_covered():
    whole = body(300, 240, 300)
    assert covers(whole, body(310, 250, 100), FRAME) and not covers(body(310, 250, 100), whole, FRAME)
    assert not covers(whole, body(500, 250, 100), FRAME)
    assert not covers(whole, body(310, 250, 100), FRAME, near_only=True)  # whole is not near enough for that


def test_the_share_is_that_of_the_first():
    small, large = body(300, 240, 80), body(300, 240, 320)
    assert overlap(small, large, FRAME) > 0.95 and overlap(large, small, FRAME) < 0.15


def test_boxes_stay_in_the_image_and_distances_are_in_sides_of_the_smaller():
    x0, y0, x1, y1 = box(body(630, 10, 200), 640, 480)
    assert 0 <= x0 <= x1 <= 639 and 0 <= y0 <= y1 <= 479
    a, b = Roi(np.zeros(2), 100.0, 0.0), Roi(np.array([30.0, 40.0]), 200.0, 0.0)
    assert roi_distance(a, b) == roi_distance(b, a) == pytest.approx(0.5)


def test_somebody_new_is_explained_by_their_own_joints_alone():
    known = body(300, 240, 300)
    assert is_explained(shaken(known, 8.0), [known], FRAME)
    assert is_explained(body(310, 250, 100, seed=3), [known], FRAME)  # a small one within
    other = body(330, 240, 280, seed=3)  # as large, in the same place, with other joints
    assert overlap(other, known, FRAME) > 0.6 and not is_explained(other, [known], FRAME)
    assert not is_explained(known, [], FRAME)


def test_bodies_meet_where_their_landmarks_would():
    known = body(300, 240, 200)
    assert meet(body(320, 240, 200), known, known.next_roi)
    assert not meet(body(600, 240, 200), known, known.next_roi)
    assert meet(body(600, 240, 200), known, Roi(np.array([580.0, 240.0]), 250.0, 0.0))


def test_nobody_is_a_part_of_a_near_person_for_lying_in_their_box_alone():
    """Of the near one the head and the shoulders fill a corner, and their hips are far below the image."""
    near = body(300, 240, 900)
    points = near.keypoints_2d.copy()
    points[:, :2] = [560, 380]
    points[:, :2] += 90 * (np.random.default_rng(5).random((33, 2)) - 0.5)
    points[0, :2] = [20, 10]  # one finger reaches far, so that the box is large
    near = replace(near, keypoints_2d=points)
    apart, on = body(200, 150, 160, seed=3), body(560, 380, 60, seed=4)
    assert overlap(apart, near, FRAME) > 0.8
    assert not covers(near, apart, FRAME, near_only=True) and covers(near, on, FRAME, near_only=True)
