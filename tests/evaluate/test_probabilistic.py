"""Scores of distributions: right where the distribution is known."""

import numpy as np
import pytest
from scipy.stats import norm

from hmr_ros.evaluate.probabilistic import best_of, coverage, crps, rank


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_coverage_is_what_it_says_for_the_right_covariance_and_less_for_a_smaller_one(rng):
    A = rng.normal(size=(5000, 3, 3))
    C = A @ np.swapaxes(A, 1, 2) + 0.05 * np.eye(3)
    errors = np.einsum("nab,nb->na", np.linalg.cholesky(C), rng.normal(size=(5000, 3)))
    for share in (0.68, 0.95):
        assert abs(coverage(errors, C, share) - share) < 0.02
        assert coverage(errors, C / 4, share) < share - 0.1


def test_rank_is_high_where_sigma_knows_and_none_where_it_does_not(rng):
    sigma = rng.uniform(0.01, 0.3, 4000)
    errors, C = sigma[:, None] * rng.normal(size=(4000, 3)), np.square(sigma)[:, None, None] * np.eye(3)
    assert rank(errors, C) > 0.7
    assert abs(rank(rng.permutation(errors), C)) < 0.05


def test_crps_of_a_normal_is_the_closed_form(rng):
    mean, sigma, y = 0.03, 0.05, -0.02
    samples = rng.normal(mean, sigma, (1, 4000, 1, 3))
    z = (y - mean) / sigma
    expected = sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(samples, np.full((1, 1, 3), y)) == pytest.approx(1e3 * expected, rel=0.05)


def test_crps_prefers_the_honest_spread(rng):
    truth = 0.1 * rng.normal(size=(400, 24, 3))
    scores = {s: crps(s * 0.1 * rng.normal(size=(400, 25, 24, 3)), truth) for s in (0.3, 1.0, 3.0)}
    assert scores[1.0] == min(scores.values())


def test_the_best_of_more_is_no_worse_and_the_truth_itself_is_found(rng):
    truth = rng.normal(size=(20, 24, 3))
    samples = truth[:, None] + 0.2 * rng.normal(size=(20, 10, 24, 3))
    for aligned in (True, False):
        found = best_of(samples, truth, (1, 5, 10), aligned)
        assert found[1] > found[5] > found[10] > 0
        samples[:, 9] = truth
        assert best_of(samples, truth, (10,), aligned)[10] == pytest.approx(0, abs=1e-6)
        samples[:, 9] = truth + 0.2 * rng.normal(size=truth.shape)
