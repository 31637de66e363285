"""Sides that change places between two frames are put back, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.perception.sides import SideMemory
from hmr_ros.types import Keypoints, Roi

LEGS, ARMS = np.arange(23, 33), np.arange(11, 23)
ROI = Roi(np.array([200.0, 200.0]), 250.0, 0.0)


def person(seed=0):
    """Somebody who stands before the camera, left on the right of the image."""
    rng = np.random.default_rng(seed)
    side = np.where(np.arange(33) % 2 == 1, 1.0, -1.0)
    xyz = np.c_[side * rng.uniform(0.1, 0.3, 33), np.linspace(-0.7, 0.9, 33), rng.normal(0, 0.05, 33)]
    return Keypoints(np.c_[200 + 100 * xyz[:, :2], rng.uniform(0.5, 1, 33)], xyz, score=1.0, next_roi=ROI)


def swapped(k, *groups):
    order = np.arange(33)
    for group in groups:
        order[group] = group.reshape(-1, 2)[:, ::-1].reshape(-1)
    return replace(k, keypoints_2d=k.keypoints_2d[order], keypoints_3d=k.keypoints_3d[order])


def moved(k, shift):
    points = k.keypoints_2d.copy()
    points[:, :2] += shift
    return replace(k, keypoints_2d=points)


def same(a, b):
    np.testing.assert_array_equal(a.keypoints_2d, b.keypoints_2d)
    np.testing.assert_array_equal(a.keypoints_3d, b.keypoints_3d)


@pytest.mark.parametrize("groups", [(LEGS,), (ARMS,), (LEGS, ARMS)])
def test_swapped_limbs_are_put_back_for_as_long_as_it_lasts(groups):
    memory, truth = SideMemory(person()), person()
    for k in range(1, 10):
        now = moved(truth, [2.0 * k, 1.0])
        same(memory.corrected(swapped(now, *groups) if k > 3 else now, 0.033), now)


@pytest.mark.parametrize("speed", [1.0, 15.0])
def test_moving_people_are_left_alone(speed):
    memory = SideMemory(person())
    for k in range(1, 20):
        now = moved(person(), [speed * k, -0.5 * speed * k])
        same(memory.corrected(now, 0.033), now)


def test_the_network_is_believed_in_the_end():
    memory, other = SideMemory(person()), swapped(person(), LEGS, ARMS)
    answers = [memory.corrected(other, 0.1) for _ in range(15)]
    same(answers[0], person())
    same(answers[-1], other)


def test_legs_that_cross_are_not_held_the_wrong_way():
    """They meet in one place, so that nothing but the twist tells the sides apart."""
    truth, memory = person(), SideMemory(person())
    for k in range(1, 31):
        now = person()
        share = np.cos(np.pi * k / 10)  # once across and back again
        points = now.keypoints_2d.copy()
        points[LEGS[2:], 0] = 200 + share * (truth.keypoints_2d[LEGS[2:], 0] - 200)
        now = replace(now, keypoints_2d=points)
        same(memory.corrected(now, 0.033), now)


def test_legs_that_crossed_between_two_frames_are_believed_soon():
    """Hips and shoulders say that nobody turned round: not longer than half a second."""
    truth, memory = person(), SideMemory(person())
    crossed = swapped(truth, LEGS[2:]).keypoints_2d
    now = replace(truth, keypoints_2d=crossed)
    answers = [memory.corrected(now, 1 / 30) for _ in range(15)]
    same(answers[-1], now)


def test_after_a_gap_nothing_is_assumed():
    same(SideMemory(person()).corrected(swapped(person(), LEGS, ARMS), 0.5), swapped(person(), LEGS, ARMS))


@pytest.mark.parametrize("seed", range(5))
def test_a_different_posture_is_no_swap(seed):
    other = person(seed + 50)
    same(SideMemory(person(seed)).corrected(other, 0.033), other)
