"""The window's quadratic energy: gradient, Newton step, what costs nothing, and rows that hold no frame."""

import math

import torch

from hmr_ros.diffusion.smoothing import NewtonWindow, couplings, newest_rows, speed_changes
from hmr_ros.methods.scorehmr.settings import MotionSpread

SPREAD = MotionSpread(change=0.1, speed=0.02)


def window(seed=0, people=3, frames=9):
    g = torch.Generator().manual_seed(seed)
    seconds = torch.rand(people, frames - 1, generator=g) * 0.05 + 0.02
    present = torch.ones(people, frames)
    present[0, :4] = 0
    mean, precision = torch.randn(people, frames, 144, generator=g), torch.rand(people, frames, 24, generator=g) + 0.5
    return seconds, present, mean, precision


def energy(x, mean, precision, A):
    data = (precision.repeat_interleave(6, -1) * (x - mean) ** 2).sum()
    return 0.5 * data + 0.5 * torch.einsum("pwd,pwv,pvd->", x, A, x)


def test_gradient_and_newton_step():
    seconds, present, mean, precision = window()
    A = couplings(seconds, present, *SPREAD)
    newton = NewtonWindow(mean, precision, A)
    x = torch.randn_like(mean).requires_grad_()
    found = torch.autograd.grad(energy(x, mean, precision, A), x)[0]
    torch.testing.assert_close(newton.gradient(x.detach()), found, rtol=1e-3, atol=1e-2)
    lowest = newton.minimum()
    assert newton.gradient(lowest).abs().max() < 1e-2 * found.abs().max()
    torch.testing.assert_close(newton.proximal(x.detach(), 0.0), lowest, rtol=1e-2, atol=1e-2)
    near = newton.proximal(x.detach(), 10.0)
    left = newton.gradient(near) + 10.0 * (near - x.detach())
    assert left.abs().max() < 1e-2 * found.abs().max()


def rows_of(mean):
    return mean.unflatten(-1, (24, 6))


def test_the_newest_row_alone_knows_all_the_others():
    """Its minimum is the window's, and its curvature that of the energy with all others at their best."""
    seconds, present, mean, precision = window()
    A = couplings(seconds, present, math.inf, 1.0)
    D = speed_changes(seconds, present)
    torch.testing.assert_close(D.transpose(1, 2) @ D, A)
    newest, held = newest_rows(rows_of(mean), precision, D)
    torch.testing.assert_close(
        newest.flatten(1), NewtonWindow(mean, precision, A).minimum()[:, -1], rtol=1e-3, atol=1e-3
    )
    pulled = mean.clone()
    pulled[:, -1, :6] += 1.0
    moved = newest_rows(rows_of(pulled), precision, D)[0] - newest
    torch.testing.assert_close(moved[:, 0, 0], precision[:, -1, 0] / held[:, 0], rtol=1e-3, atol=1e-3)


def test_a_window_of_two_is_its_newest_frame():
    _, _, mean, precision = window(frames=2)
    newest, held = newest_rows(rows_of(mean), precision, torch.zeros(3, 0, 2))
    torch.testing.assert_close(newest.flatten(1), mean[:, -1])
    torch.testing.assert_close(held, precision[:, -1])


def test_a_hundred_images_a_second_fit_into_float32():
    """A depth that nearly stays: the energy's matrix has entries of 1e7, and what is asked for is one of 1e3."""
    g = torch.Generator().manual_seed(0)
    seconds, present = torch.full((50, 15), 0.01), torch.ones(50, 16)
    mean, precision = 0.02 * torch.randn(50, 16, 1, 1, generator=g), torch.full((50, 16, 1), 1111.0)
    found, held = newest_rows(mean, precision * 0.004**2, speed_changes(seconds, present))
    A = couplings(seconds.double(), present.double(), math.inf, 0.004)
    H = A + torch.diag_embed(precision[..., 0].double())
    expected = torch.linalg.solve(H, 1111.0 * mean[:, :, 0].double())[:, -1]
    assert (found[:, 0].double() - expected).abs().max() < 1e-5
    torch.testing.assert_close(held[:, 0].double() / 0.004**2, 1 / torch.linalg.inv(H)[:, -1, -1], rtol=1e-3, atol=0)


def test_steady_motion_costs_nothing_but_its_speed():
    seconds, present, *_ = window()
    time = torch.cat([torch.zeros(3, 1), seconds.cumsum(1)], 1)
    A = couplings(seconds, present, math.inf, 0.02)
    assert torch.einsum("pw,pwv,pv->p", time, A, time).abs().max() < 1e-2
    moved = couplings(seconds, present, *SPREAD)
    assert (torch.einsum("pw,pwv,pv->p", time, moved, time) > 0).all()


def test_a_gap_couples_less():
    near, far = (couplings(torch.tensor([[gap, gap]]), torch.ones(1, 3), *SPREAD).abs().sum() for gap in (1 / 30, 1.0))
    assert far < 0.1 * near


def test_absent_rows_do_not_matter():
    seconds, present, mean, precision = window()
    A = couplings(seconds, present, *SPREAD)
    other = mean.clone()
    other[0, :4] += 5.0
    solved = [NewtonWindow(m, precision, A).minimum() for m in (mean, other)]
    torch.testing.assert_close(solved[0][0, 4:], solved[1][0, 4:])
    torch.testing.assert_close(solved[0][1:], solved[1][1:])
