"""Which way is up."""

import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.types import GravitySource
from hmr_ros.world.gravity import (
    LEVEL,
    gravity_of_acceleration,
    gravity_of_level,
    gravity_of_orientation,
    gravity_of_tilt,
    rotation_of_tilt,
    tilt_of,
    world_rotation,
)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (-25.0, 5.0), (15.0, -170.0), (60.0, 90.0)])
def test_tilt_and_up_say_the_same(tilt):
    R = rotation_of_tilt(*tilt)
    np.testing.assert_allclose(tilt_of(R[2]), tilt, atol=1e-9)
    np.testing.assert_allclose(world_rotation(R[2]), R, atol=1e-12)


def test_signs_are_those_of_the_settings():
    """A camera that looks up sees the horizon below; turned clockwise, its right side is lower."""
    assert (rotation_of_tilt(10, 0) @ [0, 0, 1])[2] > 0
    assert (rotation_of_tilt(0, 10) @ [1, 0, 0])[2] < 0


@pytest.mark.parametrize("down", [True, False])
def test_straight_down_and_up_have_a_forward_too(down):
    up = np.array([0.0, 0.0, -1.0 if down else 1.0])
    R = world_rotation(up)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(R @ up, [0, 0, 1], atol=1e-12)


def test_an_imu_that_stands_still_says_what_the_mounting_says():
    R_world_optical = rotation_of_tilt(-12, 3)
    R_optical_imu = LEVEL.T  # the Imu has the axes of a body: x forward, z up
    measured = 9.81 * (R_world_optical @ R_optical_imu)[2]  # specific force, in the Imu's axes
    found = gravity_of_acceleration(measured, R_optical_imu)
    assert found.source == GravitySource.IMU
    np.testing.assert_allclose(tilt_of(found.up), (-12, 3), atol=1e-6)


@pytest.mark.parametrize(
    ("acceleration", "said"), [([np.nan, 0, 9.8], "NaN"), ([0, 0, 0], "the camera moves"), ([3, 0, 12], "moves")]
)
def test_an_imu_that_says_nothing_of_gravity_is_refused(acceleration, said):
    with pytest.raises(InputError, match=said) as caught:
        gravity_of_acceleration(np.array(acceleration, float), np.eye(3))
    assert "\n" not in str(caught.value)


def test_an_orientation_says_where_x_points_too():
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # the camera looks along the world's y
    R = turn @ rotation_of_tilt(-20, 5)
    w, x, y, z = quaternion_from_matrix(R)
    found = gravity_of_orientation(f"{x},{y},{z},{w}")
    np.testing.assert_allclose(found.R_world_camera, R, atol=1e-9)
    np.testing.assert_allclose(found.up, gravity_of_tilt(-20, 5).up, atol=1e-9)
    np.testing.assert_allclose(gravity_of_orientation("-0.5,0.5,-0.5,0.5").R_world_camera, LEVEL, atol=1e-12)


def test_who_knows_more_is_surer():
    assert gravity_of_tilt(3, 0).sigma < gravity_of_level().sigma
