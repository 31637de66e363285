"""Measured depths enter refinement as far as they can be trusted, and not at all where there are none."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import LIMB_JOINTS, SMPL, SMPL_LIMBS
from hmr_ros.methods.contract import estimate_at
from hmr_ros.methods.scorehmr.measured import measured_inputs, pose_precision
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.methods.uncertainty import image_covariance

ELBOW, WRIST = LIMB_JOINTS.index("left_elbow"), LIMB_JOINTS.index("left_wrist")


@pytest.fixture
def estimate(open_body):
    rotations = np.tile(np.eye(3), (24, 1, 1))
    joints = open_body.rest_joints(np.zeros(10)) + np.array([0, 0, 3])
    return estimate_at(open_body, rotations, np.zeros(10), joints[0], image_covariance(np.full(24, 0.05), joints))


def seen(estimate, sigma):
    """With the estimate's own depths and such a standard deviation of each limb joint."""
    return replace(estimate, depths=np.stack([estimate.joints[SMPL_LIMBS, 2], np.broadcast_to(sigma, 12)], 1))


def test_without_depth_refinement_is_as_it_was(estimate):
    guidance = Guidance()
    for person in (estimate, seen(estimate, np.inf)):
        inputs = measured_inputs([person], guidance)
        assert not inputs["trust"].any() and not inputs["depth_weights"].any() and not inputs["depths"].any()
        assert inputs["sigma_depth"] == guidance.sigma_depth


def test_the_surer_a_depth_the_more_it_weighs(estimate):
    rough, fine = (measured_inputs([seen(estimate, s)], Guidance()) for s in (0.1, 0.02))
    assert (fine["depth_weights"] == 5 * rough["depth_weights"]).all()
    moved = fine["trust"] > 0
    assert (fine["trust"][moved] > rough["trust"][moved]).all() and (rough["trust"][moved] > 0).all()
    assert fine["sigma_depth"] == Guidance().sigma_measured < Guidance().sigma_depth


def test_a_bone_needs_both_its_ends(estimate):
    sigma = np.full((1, 12), 0.02)
    whole = pose_precision(sigma, estimate.joints[None])[0]
    sigma[0, WRIST] = np.inf
    half = pose_precision(sigma, estimate.joints[None])[0]
    elbow = SMPL["left_elbow"]
    assert whole[elbow] > 0 and half[elbow] == 0
    np.testing.assert_array_equal(np.delete(half, elbow), np.delete(whole, elbow))
    assert not whole[[SMPL["left_wrist"], SMPL["head"], SMPL["left_foot"]]].any()  # nothing tells how they are turned


def test_precision_grows_with_the_square_of_the_bone(estimate):
    sigma = np.full((1, 12), 0.02)
    one, two = (pose_precision(sigma, scale * estimate.joints[None])[0, SMPL["left_elbow"]] for scale in (1.0, 2.0))
    assert two == pytest.approx(4 * one)


def test_people_with_and_without_depth_stand_side_by_side(estimate):
    inputs = measured_inputs([estimate, seen(estimate, 0.03)], Guidance())
    assert {name: len(array) for name, array in inputs.items()} == dict.fromkeys(inputs, 2)
    assert not inputs["trust"][0].any() and inputs["trust"][1].any()
    assert np.isfinite(np.concatenate([a.ravel() for a in inputs.values()])).all()
