"""Between two poses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from poses import LEFT_ARM_UP, posed

from hmr_ros.exchange.motion import between, slerp
from hmr_ros.geometry.rotations import matrix_from_axis_angle, matrix_from_quaternion, quaternion_from_matrix

VECTORS = arrays(float, (5, 3), elements=st.floats(-3, 3))
SHARES = st.floats(0, 1)


def quaternions(vectors):
    return quaternion_from_matrix(matrix_from_axis_angle(vectors))


def angle(a, b):
    return 2 * np.arccos(np.clip(np.abs((a * b).sum(-1)), 0, 1))


@settings(deadline=None)
@given(VECTORS, VECTORS, SHARES)
def test_slerp_goes_the_shorter_way_at_a_steady_speed(a, b, share):
    a, b = quaternions(a), quaternions(b)
    middle = slerp(a, b, share)
    np.testing.assert_allclose(np.linalg.norm(middle, axis=-1), 1, atol=1e-9)
    np.testing.assert_allclose(angle(a, middle), share * angle(a, b), atol=1e-6)
    np.testing.assert_allclose(angle(middle, b), (1 - share) * angle(a, b), atol=1e-6)


@settings(deadline=None)
@given(VECTORS, VECTORS)
def test_slerp_begins_and_ends_where_it_should_and_does_not_mind_signs(a, b):
    a, b = quaternions(a), quaternions(b)
    np.testing.assert_allclose(angle(slerp(a, b, 0.0), a), 0, atol=1e-6)
    np.testing.assert_allclose(angle(slerp(a, b, 1.0), b), 0, atol=1e-6)
    np.testing.assert_allclose(slerp(a, -a, 0.3), a, atol=1e-9)


def test_half_way_to_a_raised_arm_it_is_half_raised(pose_made):
    start, end = pose_made(posed()), pose_made(LEFT_ARM_UP, pelvis=(4.0, 0.9, 0.0), betas=1.0)
    middle = between(start, end, 0.5)
    shoulder = matrix_from_quaternion(middle.rotations[16])
    np.testing.assert_allclose(shoulder, matrix_from_axis_angle(np.array([0, 0, 0.7])), atol=1e-9)
    assert middle.pelvis == pytest.approx([3.5, 0, 0.9]) and middle.betas[0] == 0.5
