"""Sigma of refined joints grows where landmarks and answer contradict each other, and with nothing else than that."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL, SMPL_LIMBS
from hmr_ros.evidence.record import Evidence
from hmr_ros.methods.contract import estimate_at
from hmr_ros.methods.scorehmr.doubt import FEATURES, doubt, doubt_features
from hmr_ros.methods.scorehmr.uncertainty import moved, without_doubt
from hmr_ros.methods.uncertainty import image_covariance

NAMES = list(FEATURES)


@pytest.fixture
def person(open_body):
    """Evidence that agrees with the estimate in everything."""
    rotations = np.tile(np.eye(3), (24, 1, 1))
    joints = open_body.rest_joints(np.zeros(10)) + np.array([0, 0, 3])
    estimate = estimate_at(open_body, rotations, np.zeros(10), joints[0], image_covariance(np.full(24, 0.05), joints))
    keypoints, rays = np.zeros((33, 6)), np.zeros((33, 2))
    keypoints[:, 2] = 0.9
    limbs = estimate.joints[SMPL_LIMBS]
    keypoints[BLAZEPOSE_LIMBS, 3:] = limbs - limbs[:2].mean(0)
    rays[BLAZEPOSE_LIMBS] = limbs[:, :2] / limbs[:, 2:]
    return Evidence(rays, keypoints, 0.2, np.eye(3), None), estimate


def feature(name, *given):
    return doubt_features(*given)[:, NAMES.index(name)]


def test_what_agrees_is_as_near_as_it_can_be(person):
    evidence, estimate = person
    found = doubt_features(evidence, estimate, estimate)
    assert found.shape == (24, len(NAMES))
    limbs = np.array(SMPL_LIMBS)
    np.testing.assert_allclose(feature("landmark apart", evidence, estimate, estimate)[limbs], np.log(0.02), atol=1e-9)
    np.testing.assert_allclose(feature("landmark beside", evidence, estimate, estimate)[limbs], np.log(0.005))
    np.testing.assert_allclose(feature("moved by refinement", evidence, estimate, estimate), np.log(0.005))
    assert not feature("landmark apart", evidence, estimate, estimate)[[0, 3, 6, 9]].any()


def test_an_unseen_wrist_is_doubted_with_its_hand_alone(person):
    evidence, estimate = person
    keypoints = evidence.keypoints.copy()
    keypoints[BLAZEPOSE_LIMBS[LIMB_JOINTS.index("left_wrist")], 2] = 0.5
    before = feature("confidence", evidence, estimate, estimate)
    after = feature("confidence", replace(evidence, keypoints=keypoints), estimate, estimate)
    assert set(np.flatnonzero(before != after)) == {SMPL["left_wrist"], SMPL["left_hand"]}
    assert (after <= before).all()


def test_landmarks_beside_the_body_put_everything_in_doubt(person):
    evidence, estimate = person
    factors = []
    for off in (0.0, 0.02, 0.1):
        rays = evidence.rays + np.array([off, 0.0])
        factors.append(doubt(replace(evidence, rays=rays), estimate, estimate))
    assert (factors[0][1:] < factors[1][1:]).all() and (factors[1][1:] < factors[2][1:]).all()


def test_the_covariance_is_scaled_and_can_be_scaled_back(person, open_body):
    evidence, estimate = person
    bent = estimate.rotations.copy()
    bent[SMPL["left_elbow"]] = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    given = (estimate, open_body, bent, estimate.joints[0], np.full(24, 80.0))
    without, there = moved(*given), moved(*given, evidence)
    factor = doubt(evidence, estimate, there)
    wanted = without.joint_covariance * np.square(factor)[:, None, None]
    np.testing.assert_allclose(there.joint_covariance, wanted, rtol=1e-9)
    again = without_doubt(evidence, estimate, there).joint_covariance
    np.testing.assert_allclose(again, without.joint_covariance, rtol=1e-9)


def test_measured_depths_are_not_doubted(person, open_body):
    evidence, estimate = person
    measured = replace(estimate, depths=np.stack([estimate.joints[SMPL_LIMBS, 2], np.full(12, 0.02)], 1))
    given = (open_body, estimate.rotations, estimate.joints[0], np.full(24, 80.0))
    with_evidence, without = moved(measured, *given, evidence), moved(measured, *given)
    np.testing.assert_array_equal(with_evidence.joint_covariance, without.joint_covariance)
