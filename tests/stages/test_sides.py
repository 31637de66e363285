"""Sides that change places between two frames are put back, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.stages.sides import SideMemory
from hmr_ros.types import Keypoints, Roi

LEGS = np.arange(23, 33)


def person(seed=0):
    rng = np.random.default_rng(seed)
    return Keypoints(
        keypoints_2d=np.c_[rng.uniform(100, 300, (33, 2)), rng.uniform(0.5, 1, 33)],
        keypoints_3d=rng.normal(0, 0.4, (33, 3)), score=1.0, next_roi=Roi(np.array([200.0, 200.0]), 250.0, 0.0),
    )  # fmt: skip


def swap_legs(k):
    order = np.arange(33)
    order[LEGS] = LEGS.reshape(-1, 2)[:, ::-1].reshape(-1)
    return replace(k, keypoints_2d=k.keypoints_2d[order], keypoints_3d=k.keypoints_3d[order])


def moved(k, shift):
    points = k.keypoints_2d.copy()
    points[:, :2] += shift
    return replace(k, keypoints_2d=points)


def same(a, b):
    np.testing.assert_array_equal(a.keypoints_2d, b.keypoints_2d)
    np.testing.assert_array_equal(a.keypoints_3d, b.keypoints_3d)


def test_swapped_legs_are_put_back_for_as_long_as_it_lasts():
    memory, truth = SideMemory(person()), person()
    for k in range(1, 10):
        now = moved(truth, [2.0 * k, 1.0])
        same(memory.corrected(swap_legs(now) if k > 3 else now, 0.033), now)


def test_moving_people_are_left_alone():
    memory = SideMemory(person())
    for k in range(1, 20):
        now = moved(person(), [8.0 * k, -5.0 * k])
        same(memory.corrected(now, 0.033), now)


def test_the_network_is_believed_in_the_end():
    memory, other = SideMemory(person()), swap_legs(person())
    answers = [memory.corrected(other, 0.1) for _ in range(15)]
    same(answers[0], person())
    same(answers[-1], other)


def test_after_a_gap_nothing_is_assumed():
    same(SideMemory(person()).corrected(swap_legs(person()), 0.5), swap_legs(person()))


@pytest.mark.parametrize("seed", range(5))
def test_a_different_posture_is_no_swap(seed):
    same(SideMemory(person(seed)).corrected(person(seed + 50), 0.033), person(seed + 50))
