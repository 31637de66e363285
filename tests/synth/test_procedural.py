"""Procedural poses: sides are mirror images, people who sit and people on bent legs do."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import forward_kinematics
from hmr_ros.synth.procedural import limb, sit, stand


def test_procedural_limbs_keep_to_their_side():
    """The right limb is the left one's mirror image."""
    left, right = (limb("hip", side, 500, np.random.default_rng(0)) for side in ("left", "right"))
    flip = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(flip @ left @ flip, right, atol=1e-9)
    seated = np.tile(np.eye(3), (50, 24, 1, 1))
    sit(seated, np.arange(50), np.random.default_rng(0))
    thighs = seated[:, [1, 2]] @ np.array([0.0, -1.0, 0.0])
    assert (thighs[..., 2] > 0.3).all()  # both thighs point forwards
    np.testing.assert_allclose(seated[:, 13:], np.tile(np.eye(3), (50, 11, 1, 1)))


@pytest.fixture(scope="module")
def standing(open_body):
    """Hips, knees and ankles [400,2,3,3] m of people on bent legs, left and right."""
    people = np.tile(np.eye(3), (400, 24, 1, 1))
    stand(people, np.arange(400), np.random.default_rng(0))
    rest = np.repeat(open_body.rest_joints(np.zeros(10))[None], 400, 0)
    joints = forward_kinematics(people, rest)[1]
    legs = [[SMPL[f"{side}_{part}"] for part in ("hip", "knee", "ankle")] for side in ("left", "right")]
    return people, joints[:, legs]


def test_people_on_bent_legs_stand_from_a_squat_to_straight(standing):
    people, legs = standing
    np.testing.assert_allclose(people[:, 9:], np.tile(np.eye(3), (400, 15, 1, 1)))  # nothing but legs
    length = np.linalg.norm(np.diff(legs, axis=2), axis=-1).sum(-1)
    reach = np.linalg.norm(legs[:, :, 2] - legs[:, :, 0], axis=-1) / length
    assert reach.max() < 1.0 and reach.min() > 0.3
    assert 0.3 < np.mean(reach > 0.75) < 0.9
    assert np.mean((legs[:, :, 2, 1] < legs[:, :, 0, 1]).any(1)) > 0.99  # one foot at least is below


def test_bent_knees_point_to_the_front_or_to_their_side(standing):
    _, legs = standing
    middle = (legs[:, :, 0] + legs[:, :, 2]) / 2
    knee = legs[:, :, 1] - middle
    bent = np.linalg.norm(knee, axis=-1) > 0.1
    outwards = knee[..., 0] * [1.0, -1.0]
    assert np.mean((np.maximum(outwards, knee[..., 2]) > 0)[bent]) > 0.99
    assert 0.15 < np.mean((outwards > np.abs(knee[..., 2]))[bent]) < 0.7  # turned out
    assert abs(np.mean(outwards[:, 0]) - np.mean(outwards[:, 1])) < 0.03
