"""U is what its parts say: true points leave no gap, wherever the pelvis is, and draws have the moments they should."""

import numpy as np
import pytest

from hmr_ros.methods.hmdiff.prior import (
    antithetic,
    depth_distribution,
    depths,
    joint_index,
    joints,
    prior_of,
    rays,
    sigma_2d,
)

N, P, J = 3, 81, 17
SELECT = np.eye(P)[:J]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def points(rng):
    found = rng.normal(0, 0.4, (N, P, 3))
    return found - found[:, :1]


@pytest.fixture
def pelvis(rng):
    return np.array([0.0, 0.0, 4.0]) + rng.normal(0, 0.3, (N, 3))


def left(prior, points):
    """|u - f(points)|^2 with u the mean of U."""
    return ((prior.mean - np.einsum("ndk,nk->nd", prior.rows, points.reshape(N, -1))) ** 2).sum(-1)


def kinds(points, pelvis, rng):
    placed = points[:, :J] + pelvis[:, None]
    sigma = np.full((N, J), 0.02)
    yaw = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    R, t = np.broadcast_to(yaw, (N, 3, 3)), np.array([0.5, 0.1, 5.0]) - pelvis @ yaw.T
    there = placed @ yaw.T + t[:, None]
    which = list(range(J))
    covariance = np.broadcast_to(np.diag([0.01, 0.02, 0.03]) ** 2 + 5e-5, (N, J, 3, 3))
    return {
        "rays": rays(SELECT, placed[..., :2] / placed[..., 2:], sigma),
        "second camera": rays(SELECT, there[..., :2] / there[..., 2:], sigma, R, t),
        "depths": depths(which, placed[..., 2], sigma),
        "joints": joints(which, placed, covariance),
        "relative joints": joints(which, points[:, :J], covariance, relative=True),
    }


@pytest.mark.parametrize("kind", ["rays", "second camera", "depths", "joints", "relative joints"])
def test_the_truth_leaves_no_gap(points, pelvis, rng, kind):
    measured = kinds(points, pelvis, rng)[kind]
    prior = prior_of([measured], 4, rng)
    np.testing.assert_allclose(left(prior, points), 0.0, atol=1e-9)
    assert (left(prior, 1.2 * points[:, ::-1]) > 1.0).all()


def test_all_together_leave_no_gap_and_the_pelvis_falls_out(points, pelvis, rng):
    given = list(kinds(points, pelvis, rng).values())
    prior = prior_of(given, 4, rng)
    np.testing.assert_allclose(left(prior, points), 0.0, atol=1e-8)
    shift = np.repeat([[0.3, -0.2, 0.5]], P, 0)
    only = prior_of(given[:4], 4, rng)  # nothing relative to the pelvis: a shift of all points is a shift of the pelvis
    np.testing.assert_allclose(left(only, points + shift), 0.0, atol=1e-8)
    assert (only.freedom == sum(m.sigma.shape[1] for m in given[:4]) - 3).all()


def test_what_is_unknown_does_not_speak(points, pelvis, rng):
    z = points[:, :J, 2] + pelvis[:, 2:]
    sigma = np.full((N, J), 0.02)
    wrong, unknown = z.copy(), sigma.copy()
    wrong[:, 3], unknown[:, 3] = np.nan, np.inf
    prior = prior_of([depths(list(range(J)), wrong, unknown)], 2, rng)
    np.testing.assert_allclose(left(prior, points), 0.0, atol=1e-9)
    assert np.isfinite(prior.drawn).all()
    missing = np.where(np.arange(J)[:, None] == 3, np.nan, points[:, :J])
    prior = prior_of([joints(list(range(J)), missing, np.broadcast_to(1e-4 * np.eye(3), (N, J, 3, 3)))], 2, rng)
    np.testing.assert_allclose(left(prior, points), 0.0, atol=1e-9)


def test_covariance_weighs_its_directions(points, rng):
    """A joint that is known across the ray alone says little of its depth."""
    covariance = np.broadcast_to(np.diag([0.01, 0.01, 1.0]) ** 2, (N, J, 3, 3))
    prior = prior_of([joints(list(range(J)), points[:, :J], covariance, relative=True)], 2, rng)
    off = {axis: points + 0.1 * np.eye(3)[axis] * (np.arange(P) == 5)[:, None] for axis in range(3)}
    gaps = [left(prior, off[axis]).mean() for axis in range(3)]
    assert gaps[0] > 50 and gaps[1] > 50 and gaps[2] < 0.05


def test_draws_lie_around_the_mean_as_sigma_says(points, pelvis, rng):
    prior = prior_of([kinds(points, pelvis, rng)["relative joints"]], 4000, rng)
    np.testing.assert_allclose(prior.drawn.mean(1), prior.mean, atol=1e-9)
    np.testing.assert_allclose(prior.drawn.std(1), 1.0, atol=0.06)
    assert abs((((prior.drawn - prior.mean[:, None]) ** 2).sum(-1).mean() / prior.freedom.mean()) - 1) < 0.05


def test_antithetic_draws_cancel_in_pairs(rng):
    for samples in (1, 2, 7, 8):
        drawn = antithetic(rng, samples, 5)
        assert drawn.shape == (samples, 5)
        np.testing.assert_array_equal(drawn[1::2], -drawn[0 : samples - samples % 2 : 2])


def test_a_two_sided_depth_is_drawn_on_both_sides(rng):
    """One u_i a trajectory takes a side; the mean of all of them lies where no joint is."""
    probability = np.zeros((1, J, 48))
    probability[:, :, [10, 38]] = 0.5
    factor = np.broadcast_to(rng.normal(size=(P * 3, 32)), (1, P * 3, 32))
    measured = depth_distribution(probability, 1.0, factor, 400, rng)
    drawn = measured.drawn[0, :, 1:]
    assert (np.abs(drawn) > 0.5).all()
    assert 0.35 < (drawn > 0).mean() < 0.65
    np.testing.assert_allclose(measured.value[0, 1:], drawn.mean(0), atol=0.12)
    np.testing.assert_allclose(measured.sigma[0, 1:], drawn.std(0), rtol=0.1)
    assert np.isinf(measured.sigma[0, 0])  # the pelvis itself


def test_joints_that_err_together_are_drawn_together(rng):
    probability = np.full((1, J, 48), 1 / 48)
    factor = np.zeros((1, P * 3, 32))
    factor[0, 2::3, 0] = 1.0  # one direction moves all depths
    drawn = depth_distribution(probability, 1.0, factor, 300, rng).drawn[0, :, 1:]
    assert np.ptp(drawn, axis=1).max() < 0.05
    assert drawn.std() > 0.5


def test_a_wider_heat_map_is_a_worse_landmark():
    heat = np.zeros((2, 33, 6))
    heat[0, :, [2, 4]], heat[1, :, [2, 4]] = 0.08**2, 0.3**2
    narrow, wide = sigma_2d(np.ones((2, 33)), heat)
    assert (wide > 3 * narrow).all()
    by_confidence = sigma_2d(np.linspace(0.1, 1, 33)[None], np.full((1, 33, 6), np.nan))[0]
    assert (np.diff(by_confidence) < 0).all()


def test_every_limb_joint_is_one_of_the_points():
    assert joint_index(0) == 0
    assert joint_index(20) == 15  # left wrist
