"""Depth joints: from the depth image of a rendered body to where its joints are."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.methods.pchmr.targets import DepthTargets


@pytest.fixture(scope="module")
def make(open_body):
    return DepthTargets(open_body)


def test_joints_are_found_from_every_side(observed, make):
    known = 0
    for turn in np.arange(8) * np.pi / 4:
        _, evidence, estimate = observed(turn)
        targets = make([evidence], [estimate])
        has = np.isfinite(targets.sigma[0])
        error = np.linalg.norm(targets.points[0] - estimate.joints[SMPL_LIMBS], axis=1)[has]
        known += has.sum()
        assert np.isnan(targets.points[0][~has]).all()
        assert error.max() < 0.1
        assert np.median(error) < 0.03
    assert known > 0.6 * 8 * 12


def test_hidden_joints_are_left_out(observed, make):
    """Straight from the side the far leg and arm are hidden; their landmarks lie on the near ones."""
    _, evidence, estimate = observed(np.pi / 2)
    known = np.isfinite(make([evidence], [estimate]).sigma[0])
    z = estimate.joints[SMPL_LIMBS, 2]
    behind = z - evidence.depth.z > 0.25  # something else is seen there
    behind[:2] = False  # hips lie deep inside from here
    assert behind.sum() >= 2
    assert not known[behind].any()


def test_the_shared_offset_does_not_matter_but_one_joint_off_is_rejected(observed, make):
    _, evidence, estimate = observed(0.0)
    further = replace(estimate, joints=estimate.joints * 1.4, transl=estimate.transl + 0.4 * estimate.joints[0])
    targets = make([evidence], [further])
    assert np.nanmedian(np.abs(targets.points[0] - estimate.joints[SMPL_LIMBS])) < 0.03
    wrist = LIMB_JOINTS.index("left_wrist")
    assert np.isfinite(targets.sigma[0, wrist])
    z = evidence.depth.z.copy()
    z[wrist] -= 0.8
    off = replace(evidence, depth=replace(evidence.depth, z=z))
    targets = make([off], [further])
    assert np.isinf(targets.sigma[0, wrist])
    assert np.isfinite(targets.sigma[0]).sum() >= 8


def test_nobody_sees_nothing(observed, make):
    _, evidence, estimate = observed(0.0, depth=False)
    assert evidence.depth is None
    targets = make([evidence], [estimate])
    assert np.isinf(targets.sigma).all()
    assert np.isnan(targets.points).all()


def test_a_landmark_that_is_not_seen_says_nothing(observed, make):
    _, evidence, estimate = observed(0.0)
    keypoints = evidence.keypoints.copy()
    keypoints[BLAZEPOSE["left_knee"], 2] = 0.1
    targets = make([replace(evidence, keypoints=keypoints)], [estimate])
    assert np.isinf(targets.sigma[0, LIMB_JOINTS.index("left_knee")])
