"""The evidence vector: what a mirror and a rolled camera do to it."""

import numpy as np
import pytest

from hmr_ros.body.coarse import coarse_of, sparse_pairs
from hmr_ros.body.joints import BLAZEPOSE_MIRRORED
from hmr_ros.evidence.features import NUM_FEATURES, evidence_features, mirrored, rolled
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.record import Posture


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    N = 4
    seen = Normalised(rng.normal(size=(N, 33, 6)), rng.uniform(0.1, 1, N), np.tile(np.eye(3), (N, 1, 1)))
    posture = Posture(
        rng.normal(size=(N, 81, 2)), rng.uniform(0.1, 1, (N, 81)), rng.normal(size=(N, 81, 3)),
        rng.uniform(0.1, 1, (N, 81)),
    )  # fmt: skip
    return evidence_features(seen, posture)


def test_size(features):
    assert features.shape == (4, NUM_FEATURES)


def test_two_mirrors_change_nothing(features, open_body):
    pairs = sparse_pairs(coarse_of(open_body))
    once = mirrored(features, BLAZEPOSE_MIRRORED, pairs)
    assert not np.allclose(once, features)
    np.testing.assert_allclose(mirrored(once, BLAZEPOSE_MIRRORED, pairs), features)


def test_rolling_back_and_forth_changes_nothing(features):
    angle = np.array([0.3, -1.0, 3.0, 0.0])
    turned = rolled(features, angle)
    np.testing.assert_allclose(turned[3], features[3])
    np.testing.assert_allclose(rolled(turned, -angle), features, atol=1e-12)
    assert not np.allclose(turned[:3], features[:3])


def test_mirror_and_roll_go_together(features, open_body):
    """Rolling to the left and mirroring = mirroring and rolling to the right."""
    pairs, angle = sparse_pairs(coarse_of(open_body)), np.full(4, 0.4)
    a = mirrored(rolled(features, angle), BLAZEPOSE_MIRRORED, pairs)
    b = rolled(mirrored(features, BLAZEPOSE_MIRRORED, pairs), -angle)
    np.testing.assert_allclose(a, b, atol=1e-12)
