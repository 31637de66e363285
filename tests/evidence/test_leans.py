"""Leans along lines of sight, turned to the axes of a camera aimed at the person."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, DIRECTED_BONES_BLAZEPOSE, LIMB_JOINTS
from hmr_ros.evidence.leans import aimed_leans
from hmr_ros.types import LimbsSeen

SIGMA = np.linspace(0.1, 0.4, 12)


@pytest.fixture
def person():
    """33 points before a camera that is aimed past them, what they look like, and how their bones lean."""
    rng = np.random.default_rng(0)
    points = np.array([0.5, -0.3, 3.0]) + rng.normal(0, 0.4, (33, 3))
    plane = points[:, :2] / points[:, 2:]
    bones = points[DIRECTED_BONES_BLAZEPOSE]
    along = bones[:, 1] - bones[:, 0]
    middle = plane[DIRECTED_BONES_BLAZEPOSE].sum(1)
    sight = np.c_[middle, np.full(len(middle), 2.0)]
    lengths = np.linalg.norm(along, axis=1) * np.linalg.norm(sight, axis=1)
    pixels = 500.0 * plane + 300.0
    limbs = LimbsSeen(pixels[BLAZEPOSE_LIMBS], (along * sight).sum(1) / lengths, SIGMA)
    return np.c_[pixels, np.ones(33)], plane, limbs, along[:, 2] / np.linalg.norm(along, axis=1)


def test_true_leans_along_lines_of_sight_become_true_ones_along_the_axis(person):
    keypoints, plane, limbs, expected = person
    found = aimed_leans(limbs, keypoints, plane)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)
    np.testing.assert_array_equal(found[:, 1], SIGMA)


def test_nothing_is_said_where_nobody_looked(person):
    keypoints, plane, *_ = person
    assert aimed_leans(None, keypoints, plane) is None


@pytest.mark.parametrize("part", ["ankle", "wrist"])
def test_nothing_is_said_where_left_was_taken_for_right(person, part):
    keypoints, plane, limbs, _ = person
    joints = {"ankle": ("knee", "ankle"), "wrist": ("elbow", "wrist")}[part]
    sides = [[BLAZEPOSE[f"{side}_{joint}"] for joint in joints] for side in ("left", "right")]
    changed = keypoints.copy()
    changed[sides[0]], changed[sides[1]] = keypoints[sides[1]], keypoints[sides[0]]
    assert aimed_leans(limbs, changed, plane) is None
    rows = [LIMB_JOINTS.index(f"{side}_{joint}") for side in ("right", "left") for joint in joints]
    other = [LIMB_JOINTS.index(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
    points = limbs.points_2d.copy()
    points[rows] = limbs.points_2d[other]
    assert aimed_leans(replace(limbs, points_2d=points), changed, plane) is not None
