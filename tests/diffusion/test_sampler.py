"""Samplers: the schedule's ends, inversion against sampling, and that no guidance changes nothing."""

import numpy as np
import pytest
import torch

from hmr_ros.diffusion.sampler import ddim_step, invert, newton_guided, noised, predicted_x0, sample
from hmr_ros.diffusion.schedule import STEPS, cosine_alphas

UP = [0, 10, 20, 30, 40, 50]


def denoise(x, t):
    """A smooth stand-in for a network: the exact noise of a Gaussian around 0.3 with spread 0.5."""
    a = cosine_alphas()[t]
    return np.sqrt(1 - a) * (x - np.sqrt(a) * 0.3) / (a * 0.25 + 1 - a)


def test_schedule_falls_from_one_to_nothing():
    alphas = cosine_alphas()
    assert alphas[0] == 1.0
    assert alphas[-1] < 1e-4
    assert (np.diff(alphas) < 0).all()
    assert len(alphas) == STEPS + 1


def test_noise_and_clean_sample_imply_each_other():
    x0, noise = torch.randn(4, 144).double(), torch.randn(4, 144).double()
    x_t = noised(x0, noise, 300)
    torch.testing.assert_close(predicted_x0(x_t, noise, 300), x0)
    torch.testing.assert_close(ddim_step(x_t, noise, 300, 300), x_t)


def test_inversion_then_sampling_returns_the_input():
    x0 = torch.randn(8, 144).double()
    plain = sample(invert(x0, denoise, UP), denoise, UP[::-1])
    assert (plain - x0).abs().mean() < 1e-2
    corrected = sample(invert(x0, denoise, UP, corrections=4), denoise, UP[::-1])
    assert (corrected - x0).abs().max() < 1e-4
    fine = list(range(0, 52, 2))
    assert (sample(invert(x0, denoise, fine), denoise, fine[::-1]) - x0).abs().mean() < 2e-3


def test_zero_guidance_changes_nothing():
    x = torch.randn(8, 144).double()
    free = sample(x, denoise, UP[::-1])
    torch.testing.assert_close(sample(x, denoise, UP[::-1], step=lambda x0, t: 0 * x0), free)


def test_a_newton_step_moves_the_clean_sample_by_itself():
    x, goal = torch.randn(8, 144).double(), torch.randn(8, 144).double()
    noise = denoise(x, 50)
    after, changed = newton_guided(x, noise, 50, lambda x0, t: 0.5 * (goal - x0))
    torch.testing.assert_close(after, 0.5 * (predicted_x0(x, noise, 50) + goal))
    torch.testing.assert_close(noised(after, changed, 50), x)


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 2, 0]])
def test_people_of_a_batch_do_not_see_each_other(order):
    x = torch.randn(3, 144).double()
    torch.testing.assert_close(sample(x[order], denoise, UP[::-1]), sample(x, denoise, UP[::-1])[order])


def test_samples_from_pure_noise_stay_within_their_bound():
    """A denoiser that is slightly wrong, as all are: without a bound its error at t = T is amplified without limit."""

    def wrong(x, t):
        return denoise(x, t) + 0.01

    x, times = torch.randn(8, 144).double(), [*range(STEPS, 0, -50), 0]
    assert sample(x, wrong, times).abs().max() > 5
    assert sample(x, wrong, times, bound=1.0).abs().max() <= 1.0
    near = torch.randn(8, 144).double() * 0.1
    torch.testing.assert_close(sample(near, denoise, UP[::-1], bound=9.0), sample(near, denoise, UP[::-1]))
