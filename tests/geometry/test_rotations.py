"""Group axioms and round trips of rotations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmr_ros.geometry.rotations import (
    axis_angle_from_matrix,
    axis_angle_from_quaternion,
    davenport,
    fraction_of_rotation,
    frame_from_two_vectors,
    matrix_from_axis_angle,
    matrix_from_quaternion,
    nearest_rotation,
    quaternion_from_axis_angle,
    quaternion_from_matrix,
    quaternion_of,
    quaternion_product,
    rotation_between,
    rotation_vector_of,
    rotations_between,
    skew,
)

finite = st.floats(-10, 10)
vector = st.tuples(finite, finite, finite).map(np.array)
nonzero = vector.filter(lambda v: np.linalg.norm(v) > 1e-3)


@given(vector)
def test_matrix_is_a_rotation(v):
    R = matrix_from_axis_angle(v)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


@given(vector)
def test_log_inverts_exp_up_to_full_turns(v):
    R = matrix_from_axis_angle(v)
    back = axis_angle_from_matrix(R)
    assert np.linalg.norm(back) <= np.pi + 1e-9
    np.testing.assert_allclose(matrix_from_axis_angle(back), R, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-3, 1.0, 3.0, np.pi - 1e-7, np.pi])
def test_angle_is_kept_near_both_ends(angle):
    axis = np.array([1.0, -2.0, 0.5]) / np.linalg.norm([1.0, -2.0, 0.5])
    back = axis_angle_from_matrix(matrix_from_axis_angle(angle * axis))
    assert np.linalg.norm(back) == pytest.approx(angle, abs=1e-9)


@given(vector, vector)
def test_turns_about_one_axis_add(v, w):
    a, b = v[0], w[0]
    axis = np.array([0.6, 0.0, 0.8])
    lhs = matrix_from_axis_angle(a * axis) @ matrix_from_axis_angle(b * axis)
    np.testing.assert_allclose(lhs, matrix_from_axis_angle((a + b) * axis), atol=1e-9)


def test_batches_agree_with_single():
    v = np.random.default_rng(0).normal(size=(4, 5, 3))
    R = matrix_from_axis_angle(v)
    assert R.shape == (4, 5, 3, 3)
    np.testing.assert_allclose(R[2, 3], matrix_from_axis_angle(v[2, 3]), atol=1e-14)
    np.testing.assert_allclose(axis_angle_from_quaternion(quaternion_from_matrix(R)), axis_angle_from_matrix(R))
    np.testing.assert_allclose(matrix_from_quaternion(quaternion_from_matrix(R)), R, atol=1e-12)


@given(nonzero, nonzero)
def test_rotation_between_takes_one_direction_to_the_other(a, b):
    turned = rotation_between(a, b) @ (a / np.linalg.norm(a))
    np.testing.assert_allclose(turned, b / np.linalg.norm(b), atol=1e-6)


@pytest.mark.parametrize("a", np.eye(3))
def test_rotation_between_opposite_directions(a):
    R = rotation_between(a, -a)
    np.testing.assert_allclose(R @ a, -a, atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1)


def test_rotation_between_nearly_opposite_directions():
    b = np.array([0.0, 6e-8, -4.0])
    np.testing.assert_allclose(rotation_between(np.array([0.0, 0, 1]), b)[:, 2], b / 4, atol=1e-9)


def test_rotations_between_many_are_those_between_two():
    a, b = np.random.default_rng(3).normal(size=(2, 4, 5, 3))
    found = rotations_between(a, b)
    for i in np.ndindex(4, 5):
        np.testing.assert_allclose(found[i], rotation_between(a[i], b[i]), atol=1e-9)


def test_rotations_between_are_no_turn_where_none_is_the_shortest():
    a = np.array([[0.0, 0, 0], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    b = np.array([[1.0, 2, 3], [0, 0, 0], [-2, -4, -6], [2, 4, 6]])
    np.testing.assert_allclose(rotations_between(a, b), np.tile(np.eye(3), (4, 1, 1)), atol=1e-12)


@given(nonzero, nonzero)
def test_two_vector_frame_is_a_rotation_with_the_first_axis_exact(a, b):
    F = frame_from_two_vectors(a, b)
    np.testing.assert_allclose(F.T @ F, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(F[:, 0], a / np.linalg.norm(a), atol=1e-9)


def test_nearest_rotation_projects():
    rng = np.random.default_rng(1)
    R = matrix_from_axis_angle(rng.normal(size=(10, 3)))
    np.testing.assert_allclose(nearest_rotation(R), R, atol=1e-12)
    noisy = nearest_rotation(rng.normal(size=(10, 3, 3)))
    np.testing.assert_allclose(np.linalg.det(noisy), 1)


@given(vector, vector)
def test_skew_is_the_cross_product(v, w):
    np.testing.assert_allclose(skew(v) @ w, np.cross(v, w), atol=1e-9)


@given(vector, st.floats(0, 1))
def test_fraction_scales_the_angle(v, share):
    v = v * min(1.0, 3.1 / max(np.linalg.norm(v), 1e-9))  # below half a turn the way back is unique
    found = fraction_of_rotation(matrix_from_axis_angle(v), share)
    np.testing.assert_allclose(found, matrix_from_axis_angle(share * v), atol=1e-6)


@given(vector)
def test_one_rotation_at_a_time_is_the_same(v):
    R = matrix_from_axis_angle(v)
    q, many = np.array(quaternion_of(R)), quaternion_from_matrix(R)
    assert q[0] >= 0 and min(np.abs(q - many).max(), np.abs(q + many).max() + 1e3 * (q[0] > 1e-9)) < 1e-9
    w = rotation_vector_of(R)
    assert np.linalg.norm(w) <= np.pi + 1e-9
    np.testing.assert_allclose(matrix_from_axis_angle(w), R, atol=1e-7)


@given(vector, vector)
def test_products_of_quaternions_are_products_of_matrices(v, w):
    p, q = quaternion_from_axis_angle(v), quaternion_from_axis_angle(w)
    assert np.linalg.norm(p) == pytest.approx(1)
    R = matrix_from_axis_angle(v)
    np.testing.assert_allclose(matrix_from_quaternion(p), R, atol=1e-12)
    np.testing.assert_allclose(
        matrix_from_quaternion(quaternion_product(p, q)), R @ matrix_from_axis_angle(w), atol=1e-12
    )


def test_the_length_of_a_quaternion_does_not_matter_and_zero_is_no_turn():
    q = quaternion_from_axis_angle(np.array([0.4, -1.0, 0.2]))
    np.testing.assert_allclose(matrix_from_quaternion(-3 * q), matrix_from_quaternion(q), atol=1e-15)
    np.testing.assert_array_equal(matrix_from_quaternion(np.zeros((2, 4))), np.tile(np.eye(3), (2, 1, 1)))


def test_davenports_matrix_tells_how_well_a_rotation_agrees_and_which_one_does_best():
    rng = np.random.default_rng(0)
    M, q = rng.normal(size=(20, 3, 3)), quaternion_from_axis_angle(rng.normal(size=(20, 3)))
    K = davenport(M)
    agreement = np.einsum("na,nab,nb->n", q, K, q)
    np.testing.assert_allclose(agreement, np.einsum("nab,nab->n", matrix_from_quaternion(q), M), atol=1e-12)
    best = np.linalg.eigh(K)[1][..., -1]
    np.testing.assert_allclose(matrix_from_quaternion(best), nearest_rotation(M), atol=1e-9)
    own = 4 * q[:, :, None] * q[:, None] - np.eye(4)  # of a rotation
    np.testing.assert_allclose(davenport(matrix_from_quaternion(q)), own, atol=1e-12)


def test_a_quaternion_that_is_no_number_is_no_rotation():
    q = np.array([[np.nan, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    assert np.isnan(matrix_from_quaternion(q)).any((1, 2)).tolist() == [True, False]
