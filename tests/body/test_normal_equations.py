"""Square roots and solutions; that the equations are right, tests/body/test_fitting.py compares with the plain fit."""

import numpy as np
import pytest

from hmr_ros.body.normal_equations import solved, square_root


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_square_root_multiplied_is_the_matrix_also_where_something_is_unknown(rank):
    rows = 100 * np.random.default_rng(0).normal(size=(2, 5, rank, 3))
    W = np.swapaxes(rows, -1, -2) @ rows  # [2,5,3,3]
    L = np.zeros((2, 5, 3, 3))
    upper = np.triu_indices(3)
    L[..., upper[0], upper[1]] = np.moveaxis(square_root(np.moveaxis(W[..., upper[0], upper[1]], -1, 0)), 0, -1)
    assert np.isfinite(L).all() and (np.diagonal(L, axis1=-2, axis2=-1) > 0).all()
    np.testing.assert_allclose(np.swapaxes(L, -1, -2) @ L, W, atol=1e-8 * W.max())


def test_nothing_known_has_a_root_that_can_be_divided_by():
    root = square_root(np.zeros((6, 1, 2)))
    assert (root[[0, 3, 5]] > 0).all() and (root < 1e-4).all()


def test_solutions_solve_every_system():
    rng = np.random.default_rng(0)
    rows, right = rng.normal(size=(3, 30, 20)), rng.normal(size=(3, 20))
    normal = np.swapaxes(rows, 1, 2) @ rows
    before = normal.copy()
    np.testing.assert_allclose((normal @ solved(normal, right)[..., None])[..., 0], right, atol=1e-9)
    np.testing.assert_array_equal(normal, before)


def test_what_is_not_definite_is_solved_all_the_same():
    normal = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_allclose(solved(normal, np.array([[2.0, 3.0]])), [[3.0, 2.0]])
