"""Rigid transforms form a group, and the way between two is steady."""

import numpy as np
import pytest

from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle


@pytest.fixture
def three():
    rng = np.random.default_rng(0)
    return [Rigid(matrix_from_axis_angle(rng.normal(size=3)), rng.normal(size=3)) for _ in range(3)]


def same(a, b):
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-12)
    np.testing.assert_allclose(a.translation, b.translation, atol=1e-12)


def test_group(three):
    a, b, c = three
    same((a @ b) @ c, a @ (b @ c))
    same(a @ a.inverse, Rigid())
    same(a @ Rigid(), a)
    points = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose((a @ b)(points), a(b(points)))


def test_between_two(three):
    a, b, _ = three
    same(a.towards(b, 0.0), a)
    same(a.towards(b, 1.0), b)
    same(a.towards(b, 0.5), a.towards(b, 0.25).towards(b, 1 / 3))
