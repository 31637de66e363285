"""The window's quadratic energy: gradient, Newton step, what costs nothing, and rows that hold no frame."""

import math

import torch

from hmr_ros.diffusion.smoothing import MotionSpread, NewtonWindow, couplings

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
    A = couplings(seconds, present, SPREAD)
    newton = NewtonWindow(mean, precision, A)
    x = torch.randn_like(mean).requires_grad_()
    found = torch.autograd.grad(energy(x, mean, precision, A), x)[0]
    torch.testing.assert_close(newton.gradient(x.detach()), found, rtol=1e-3, atol=1e-2)
    lowest = x.detach() - newton.solve(newton.gradient(x.detach()))
    assert newton.gradient(lowest).abs().max() < 1e-2 * found.abs().max()


def test_steady_motion_costs_nothing_but_its_speed():
    seconds, present, *_ = window()
    time = torch.cat([torch.zeros(3, 1), seconds.cumsum(1)], 1)
    A = couplings(seconds, present, MotionSpread(math.inf, 0.02))
    assert torch.einsum("pw,pwv,pv->p", time, A, time).abs().max() < 1e-2
    moved = couplings(seconds, present, SPREAD)
    assert (torch.einsum("pw,pwv,pv->p", time, moved, time) > 0).all()


def test_a_gap_couples_less():
    near, far = (couplings(torch.tensor([[gap, gap]]), torch.ones(1, 3), SPREAD).abs().sum() for gap in (1 / 30, 1.0))
    assert far < 0.1 * near


def test_absent_rows_do_not_matter():
    seconds, present, mean, precision = window()
    A = couplings(seconds, present, SPREAD)
    other = mean.clone()
    other[0, :4] += 5.0
    solved = [m - NewtonWindow(m, precision, A).solve(NewtonWindow(m, precision, A).gradient(m)) for m in (mean, other)]
    torch.testing.assert_close(solved[0][0, 4:], solved[1][0, 4:])
    torch.testing.assert_close(solved[0][1:], solved[1][1:])
