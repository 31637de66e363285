"""The reverse process of HMDiff with its Distribution Alignment Technique (section 4.2, Algorithm 1); free of torch.

A prior distribution U speaks of a linear f of the mesh (f(h_0) + n = u). At every step the early estimate h0-hat is
drawn towards U, and with it what h_k becomes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hmr_ros.diffusion.schedule import ALPHAS, STEPS, falling
from hmr_ros.types import Array, Floats

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Prior:
    """U of N people with S draws each: D linear measurements of the points, each over its standard deviation.

    What a row of zeros measures is unknown.
    """

    rows: Float[Array, "N D 243"]  # f, of the 81 points in metres, x y z of each in turn
    mean: Float[Array, "N D"]
    drawn: Float[Array, "N S D"]  # u_i, one a trajectory
    freedom: Float[Array, " N"]  # what |u - f(h_0)|^2 comes to on average where h_0 is the truth


@dataclass(frozen=True)
class Denoised:
    """What the network says of h_k."""

    clean: Float[Array, "N S 81 3"]  # h0-hat
    factor: Float[Array, "N 243 R"]  # A with A A^T the covariance of h_0 around it, in the units of h
    sigma: Float[Array, "N 81 3"]  # its standard deviation, same units


Denoise = Callable[[Floats, int], Denoised]  # h_k [N,S,81,3], k
Pullback = Callable[[Floats, int, Floats], Floats]  # h_k, k, gradient for h0-hat -> gradient for h_k


@dataclass(frozen=True)
class Alignment:
    """How h_k is drawn towards U."""

    draws: str = "one"  # one u_i a trajectory; "sum": the paper's Eq. 10 over all of them
    threshold: float = 0.05  # r of the activation rule; 0: always active
    excess: bool = True  # the rule looks at the gap beyond what is left where h_0 is the truth; False: at the gap
    gamma: float = 0.0  # weight of the gradient of Eq. 9-10; 0: a Kalman step instead
    pullback: Pullback | None = None  # of the gradient through the denoiser; None: the denoiser detached


def reverse(
    denoise: Denoise, noise: Floats, steps: int, prior: Prior | None = None, how: Alignment | None = None,
    first: Denoised | None = None, unit: float = 1.0,
) -> Floats:  # fmt: skip
    """Algorithm 1 with sigma_k = 0: from `noise` h_K [N,S,81,3] to h_0 [N,S,81,3] in `steps` steps of equal length.

    h is in units of `unit` metres, `first` what the network says of the noise where that is known already. Nothing is
    drawn at random here.
    """
    how, h = how or Alignment(), noise
    active, start = np.ones(noise.shape[:2], bool), np.zeros(0)
    if prior is not None:
        prior = replace(prior, rows=prior.rows * unit)
    for t, s in pairwise(step_times(steps)):
        found = first if first is not None and t == STEPS else denoise(h, t)
        clean, pushed = found.clean, np.zeros_like(h)
        if prior is not None:
            residual = missing(prior, clean, how.draws)
            left = gap(prior, residual, how)
            start = left if t == STEPS else start
            active = active & still_active(left, start, how.threshold)
            if how.gamma:
                gradient = alignment_gradient(prior, residual, h, t, how)
                pushed = -how.gamma * active[..., None, None] * gradient
            else:
                step = kalman_step(prior, residual, found.factor).reshape(clean.shape)
                clean = clean + active[..., None, None] * step
        h = _noised(clean, implied_noise(h, clean, t), s) + pushed
    return np.asarray(h)


def step_times(steps: int) -> list[int]:
    """The visited k from K to 0: `steps` + 1 of them."""
    return falling(STEPS, steps)


def implied_noise(h: Floats, clean: Floats, t: int) -> Floats:
    """g(h_k, k) of Eq. 7, solved for: the noise that h0-hat leaves in h_k."""
    a = ALPHAS[t]
    return np.asarray((h - math.sqrt(a) * clean) / math.sqrt(1 - a))


def missing(prior: Prior, clean: Floats, draws: str) -> Floats:
    """u - f(h0-hat) [N,S,D] for h0-hat [N,S,81,3]: of each trajectory's own u_i, or ("sum") of the mean of all, for the
    gradient of sum_i |u_i - f|^2 is that of N |mean - f|^2."""
    seen = clean.reshape(*clean.shape[:2], -1) @ np.swapaxes(prior.rows, 1, 2)
    wanted = prior.drawn if draws == "one" else prior.drawn.mean(1, keepdims=True)
    return np.asarray(wanted - seen)


def gap(prior: Prior, residual: Floats, how: Alignment) -> Floats:
    """D_k [N,S] of a trajectory, by the draw; with `how.excess` without the part that no h_0 can close."""
    total = (residual**2).sum(-1)
    if how.draws == "sum":  # Eq. 10 over N: the constant that |mean - f|^2 lacks
        scatter = ((prior.drawn - prior.drawn.mean(1, keepdims=True)) ** 2).sum(-1).mean(1)
        return np.asarray(total if how.excess else total + scatter[:, None])
    return np.asarray(np.maximum(total - prior.freedom[:, None], 0.0) if how.excess else total)


def still_active(left: Floats, start: Floats, threshold: float) -> Floats:
    """R_k = D_k / D_K >= r [N,S]."""
    return np.asarray(left >= threshold * start)


def alignment_gradient(prior: Prior, residual: Floats, h: Floats, t: int, how: Alignment) -> Floats:
    """Gradient [N,S,81,3] of D_k for h_k (Eq. 9-10)."""
    count = prior.drawn.shape[1] if how.draws == "sum" else 1
    for_clean = -2 * count * (residual @ prior.rows).reshape(h.shape)
    if how.pullback is not None:
        return how.pullback(h, t, for_clean)
    return np.asarray(for_clean / math.sqrt(ALPHAS[t]))


def kalman_step(prior: Prior, residual: Floats, factor: Floats) -> Floats:
    """[N,S,243] by which h0-hat moves when what the network does not know of it (A A^T) and U share the residual:
    A (1 + G^T G)^-1 G^T r with G = f A. Bounded at every noise, and all points follow those that are measured."""
    G = prior.rows @ factor
    inner = np.eye(G.shape[-1]) + np.swapaxes(G, -1, -2) @ G
    solved = np.linalg.solve(inner, np.swapaxes(residual @ G, 1, 2))  # [N,R,S]
    return np.swapaxes(factor @ solved, 1, 2)


def remaining_sigma(prior: Prior | None, first: Denoised, unit: float) -> Floats:
    """Standard deviation an axis [N,81] m that U leaves of what the network did not know of the noise it began with."""
    variance = first.sigma**2
    if prior is not None:
        A = first.factor
        G = prior.rows @ (A * unit)
        inner = np.eye(A.shape[-1]) + np.swapaxes(G, -1, -2) @ G
        known = (A**2).sum(-1) - (A * np.swapaxes(np.linalg.solve(inner, np.swapaxes(A, -1, -2)), -1, -2)).sum(-1)
        variance = np.maximum(variance - known.reshape(variance.shape), 0.05 * variance)
    return np.asarray(unit * np.sqrt(variance.mean(-1)))


def _noised(clean: Floats, noise: Floats, t: int) -> Floats:
    a = ALPHAS[t]
    return np.asarray(math.sqrt(a) * clean + math.sqrt(1 - a) * noise)
