"""People say which way is up."""

import numpy as np
from tilted_camera import PITCH, ROLL

from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import GravitySource
from hmr_ros.world.gravity import LEVEL, rotation_of_tilt
from hmr_ros.world.upright import UpEstimate, up_in_body


def degrees(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def test_a_posture_says_its_own_up(standing):
    up = rotation_of_tilt(PITCH, ROLL)[2]
    human = standing[0]
    own = up_in_body(matrix_from_axis_angle(human.global_orient), human.joints)
    assert degrees(matrix_from_axis_angle(human.global_orient) @ own, up) < 10


def test_the_estimate_settles_and_says_how_sure_it_is(walking):
    estimate, sigmas = UpEstimate(), []
    for human in walking:
        estimate.add(human)
        sigmas.append(estimate.gravity().sigma)
    found = estimate.gravity()
    up = rotation_of_tilt(PITCH, ROLL)[2]
    assert found.source == GravitySource.ESTIMATE
    assert degrees(found.up, up) < min(8.0, degrees(LEVEL[2], up) / 2)
    assert sigmas[-1] < sigmas[20] < sigmas[0]
    assert degrees(found.up, up) < 3 * np.degrees(found.sigma)


def test_nobody_says_nothing():
    found = UpEstimate().gravity()
    assert found.source == GravitySource.LEVEL
    np.testing.assert_allclose(found.up, LEVEL[2])
