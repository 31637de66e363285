"""Laws of the aligned reverse process (HMDiff section 4.2) on a distribution whose every step is known exactly."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.diffusion.schedule import cosine_alphas
from hmr_ros.methods.hmdiff.alignment import (
    Alignment,
    Denoised,
    Prior,
    alignment_gradient,
    gap,
    implied_noise,
    missing,
    remaining_sigma,
    reverse,
    step_times,
)

ALPHAS = cosine_alphas()
POINTS, RANK, SAMPLES, D = 81, 4, 1000, 3
SCALE = 2.0


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def basis(rng):
    """Orthonormal directions [243,R]."""
    return np.linalg.qr(rng.normal(size=(POINTS * 3, RANK)))[0]


@pytest.fixture
def denoise(basis):
    """The exact denoiser of points that are normal around 0.1 with variance SCALE^2 along the directions."""

    def call(h, t):
        a, flat = ALPHAS[t], h.reshape(*h.shape[:2], -1)
        along = (flat - math.sqrt(a) * 0.1) @ basis
        gain = math.sqrt(a) * SCALE**2 / (a * SCALE**2 + 1 - a)
        clean = 0.1 + gain * along @ basis.T
        left = SCALE * math.sqrt((1 - a) / (a * SCALE**2 + 1 - a))
        factor = np.broadcast_to(left * basis, (len(h), *basis.shape))
        sigma = np.sqrt((factor**2).sum(-1)).reshape(len(h), POINTS, 3)
        return Denoised(clean.reshape(h.shape), factor, sigma)

    return call


@pytest.fixture
def prior(rng, basis):
    """U: D measurements of what varies, with draws of unit variance."""
    rows = rng.normal(size=(1, D, RANK)) @ basis.T
    mean = rows @ np.full(POINTS * 3, 0.1) + rng.normal(size=(1, D)) * 3
    return Prior(rows, mean, mean[:, None] + rng.normal(size=(1, SAMPLES, D)), np.array([float(D)]))


@pytest.fixture
def noise(rng):
    return rng.normal(size=(1, SAMPLES, POINTS, 3))


def measured(prior, h):
    return np.einsum("ndk,nsk->nsd", prior.rows, h.reshape(*h.shape[:2], -1))


def test_without_u_the_samples_are_those_of_the_denoiser(denoise, noise, basis):
    found = reverse(denoise, noise, 50).reshape(SAMPLES, -1)
    along = (found - 0.1) @ basis
    assert abs(along.std() / SCALE - 1) < 0.1
    np.testing.assert_allclose(found - 0.1, along @ basis.T, atol=1e-6)


def test_aligned_samples_are_those_of_the_posterior(denoise, noise, prior, basis):
    """One u_i a trajectory: mean and spread of the samples are what Bayes' rule makes of the points and U."""
    found = reverse(denoise, noise, 50, prior, Alignment(threshold=0.0)).reshape(SAMPLES, -1)
    G = prior.rows[0] @ basis * SCALE
    inner = np.linalg.inv(np.eye(RANK) + G.T @ G)
    wanted = SCALE * inner @ G.T @ (prior.mean[0] - prior.rows[0] @ np.full(POINTS * 3, 0.1))
    along = (found - 0.1) @ basis
    spread = SCALE * np.sqrt(np.diag(inner))
    assert np.abs(along.mean(0) - wanted).max() < 0.5 * spread.max()
    assert np.linalg.norm(along.mean(0) - wanted) < 0.2 * np.linalg.norm(wanted)
    assert abs(along.std(0).mean() / spread.mean() - 1) < 0.35


@pytest.mark.parametrize("how", [Alignment(), Alignment(draws="sum"), Alignment(excess=False)])
@pytest.mark.parametrize("steps", [1, 4, 10])
def test_alignment_moves_the_samples_towards_u(denoise, noise, prior, how, steps):
    plain, aligned = (measured(prior, reverse(denoise, noise, steps, u, how)) for u in (None, prior))
    apart = [np.linalg.norm(m.mean(1) - prior.mean) for m in (plain, aligned)]
    assert apart[1] < 0.5 * apart[0]


def test_what_u_does_not_know_changes_nothing(denoise, noise, prior):
    silent = Prior(0 * prior.rows, 0 * prior.mean, 0 * prior.drawn, 0 * prior.freedom)
    np.testing.assert_allclose(reverse(denoise, noise, 4, silent), reverse(denoise, noise, 4), atol=1e-12)


def test_the_sum_over_draws_is_a_distance_to_their_mean(rng, prior):
    """Eq. 10: sum_i |u_i - f|^2 = N |mean u - f|^2 + const, so its gradient knows of U its mean alone."""
    clean = rng.normal(size=(1, SAMPLES, POINTS, 3))
    f = measured(prior, clean)
    summed = ((prior.drawn[:, None] - f[:, :, None]) ** 2).sum((-1, -2))  # of every trajectory, over all draws
    of_mean = missing(prior, clean, "sum")
    whole = gap(prior, of_mean, Alignment(draws="sum", excess=False))
    without = gap(prior, of_mean, Alignment(draws="sum"))
    np.testing.assert_allclose(SAMPLES * whole, summed)
    assert np.ptp(summed - SAMPLES * without) < 1e-6 * summed.max()


def test_gradient_with_the_denoiser_held(rng, prior, denoise):
    """Eq. 9 against finite differences of D_k where g(h_k, k) stays as it is."""
    for draws in ("one", "sum"):
        how = Alignment(draws=draws, gamma=1.0)
        h, t = rng.normal(size=(1, SAMPLES, POINTS, 3)), 400
        found = implied_noise(h, denoise(h, t).clean, t)

        def clean(at, held=found, t=t):
            return (at - math.sqrt(1 - ALPHAS[t]) * held) / math.sqrt(ALPHAS[t])

        def D(at, draws=draws, clean=clean):
            count = SAMPLES if draws == "sum" else 1
            return count * (missing(prior, clean(at), draws) ** 2).sum(-1)

        gradient = alignment_gradient(prior, missing(prior, clean(h), draws), h, t, how)
        direction = rng.normal(size=h.shape)
        numeric = (D(h + 1e-4 * direction) - D(h - 1e-4 * direction)) / 2e-4
        np.testing.assert_allclose((gradient * direction).sum((-1, -2)), numeric, rtol=1e-5)


def steady(wanted):
    """A denoiser whose h0-hat meets `wanted` from the second call on, and is far away in the first."""

    def call(h, t):
        clean = np.broadcast_to(wanted if t < 1000 else wanted + 5.0, h.shape).copy()
        return Denoised(clean, np.full((len(h), POINTS * 3, 1), 1.0), np.ones((len(h), POINTS, 3)))

    return call


def test_the_rule_ends_alignment_where_the_gap_has_closed(noise, prior):
    """By the excess gap it ends; by the whole gap a wide U keeps it going for ever, for the rest of D_k stays."""
    wanted = np.linalg.lstsq(prior.rows[0], prior.mean[0], rcond=None)[0].reshape(POINTS, 3)
    wide = replace(prior, drawn=prior.mean[:, None] + np.ones((1, SAMPLES, D)))
    ends = reverse(steady(wanted), noise, 4, wide, Alignment(threshold=0.05))
    np.testing.assert_allclose(ends, np.broadcast_to(wanted, ends.shape), atol=1e-9)
    for how in (Alignment(threshold=1e-9, excess=False), Alignment(threshold=0.0)):
        goes_on = reverse(steady(wanted), noise, 4, wide, how)
        assert np.abs(goes_on - wanted).max() > 1e-4


def test_once_ended_it_stays_ended(noise, prior):
    """`act` of Algorithm 1: a trajectory that comes away from U again is left alone."""
    wanted = np.linalg.lstsq(prior.rows[0], prior.mean[0], rcond=None)[0].reshape(POINTS, 3)
    away = wanted + 5.0
    near = replace(prior, drawn=np.repeat(prior.mean[:, None], SAMPLES, 1))

    def call(h, t):
        found = steady(wanted)(h, t)
        return replace(found, clean=np.broadcast_to(away, h.shape).copy()) if t == 250 else found

    np.testing.assert_allclose(reverse(call, noise, 4, near), np.broadcast_to(away, noise.shape), atol=1e-9)


def test_steps_end_at_the_person():
    for steps in (1, 4, 10, 40):
        times = step_times(steps)
        assert (times[0], times[-1], len(times)) == (1000, 0, steps + 1)
        assert sorted(set(times), reverse=True) == times


def test_u_makes_sigma_smaller_where_it_measures(denoise, noise, prior):
    first = denoise(noise, 1000)
    before, after = remaining_sigma(None, first, 0.3), remaining_sigma(prior, first, 0.3)
    assert (after <= before + 1e-12).all() and (after < 0.95 * before).any()
    np.testing.assert_allclose(before, 0.3 * np.sqrt((first.sigma**2).mean(-1)))
