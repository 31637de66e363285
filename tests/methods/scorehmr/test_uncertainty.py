"""Sigma after refinement: what evidence over time leaves open, and that errors have the size that it says."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.methods.scorehmr.uncertainty import refined_sigma
from hmr_ros.types import Frame


@pytest.fixture
def person(open_body):
    return np.full(24, 0.04), np.full(24, 50.0), open_body.rest_joints(np.zeros(10))


def test_more_precise_rotations_leave_less_open(person):
    recovered, precision, joints = person
    loose, firm = refined_sigma(recovered, precision, joints), refined_sigma(recovered, 16 * precision, joints)
    np.testing.assert_allclose(firm[1:], loose[1:] / 2)  # standard deviation / 4, and its square root
    assert firm[0] == loose[0] == recovered[0]


def test_a_rotation_is_felt_below_it_alone(person):
    recovered, precision, joints = person
    before = refined_sigma(recovered, precision, joints)
    precision[SMPL["left_elbow"]] /= 4
    changed = np.flatnonzero(~np.isclose(refined_sigma(recovered, precision, joints), before))
    assert changed.tolist() == [SMPL["left_wrist"], SMPL["left_hand"]]


def test_what_the_recovery_doubts_stays_in_doubt(person):
    recovered, precision, joints = person
    np.testing.assert_allclose(
        refined_sigma(4 * recovered, precision, joints)[1:], 2 * refined_sigma(recovered, precision, joints)[1:]
    )


def test_errors_have_the_size_that_sigma_says(rendered):
    """A coarse check on one easy clip, refined and not; docs/results.md has the measurement."""
    images, truths, camera = rendered
    found = {}
    for refine in ("none", "temporal"):
        pipeline = build_pipeline(offline(HmrConfig(refine=refine), as_live=True))
        frames = [Frame(i, 10**9 + i * 66_000_000, image, camera) for i, image in enumerate(images)]
        rows = [(r.humans[0], truths[r.frame.index].joints) for r in pipeline.results(frames) if r.humans]
        error = np.array([h.joints - h.joints[0] - (t - t[0]) for h, t in rows])[:, SMPL_LIMBS]
        sigma = np.array([h.joint_sigma for h, _ in rows])[:, SMPL_LIMBS]
        found[refine] = np.sqrt(np.mean((error / sigma[..., None]) ** 2)), sigma
    for ratio, _ in found.values():
        assert 0.4 < ratio < 1.6
    assert not np.allclose(found["none"][1], found["temporal"][1], rtol=0.01)
