"""Noise schedule and DDIM steps as functions: sampling, inversion and guided sampling (ScoreHMR Eq. 3, 7, 9, 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from hmr_ros.diffusion.schedule import ALPHAS

Denoiser = Callable[[Tensor, int], Tensor]  # x_t [...,D], t -> predicted noise [...,D]; the condition is bound
Step = Callable[[Tensor, int], Tensor]  # x0-hat [...,D], t -> what a proximal Newton step adds to it


def predicted_x0(x_t: Tensor, noise: Tensor, t: int) -> Tensor:
    """Eq. 4: the clean sample that `noise` implies."""
    a = ALPHAS[t]
    return (x_t - math.sqrt(1 - a) * noise) / math.sqrt(a)


def noised(x0: Tensor, noise: Tensor, t: int) -> Tensor:
    """x_t of the forward process."""
    a = ALPHAS[t]
    return math.sqrt(a) * x0 + math.sqrt(1 - a) * noise


def ddim_step(x_t: Tensor, noise: Tensor, t: int, s: int) -> Tensor:
    """Deterministic step (Eq. 3 with sigma = 0) from t to s; up or down."""
    return noised(predicted_x0(x_t, noise, t), noise, s)


def invert(x0: Tensor, denoise: Denoiser, times: list[int], corrections: int = 0) -> Tensor:
    """Eq. 7 along rising `times` (the first is 0): the latent whose sampling gives `x0` back.

    Eq. 7 takes the noise of the lower time. `corrections` fixed-point rounds put the noise of the upper time in its
    place, as sampling will, so that few large steps come back exactly too.
    """
    x = x0
    for t, s in pairwise(times):
        upper = ddim_step(x, denoise(x, t), t, s)
        for _ in range(corrections):
            upper = ddim_step(x, denoise(upper, s), t, s)
        x = upper
    return x


def spread(t: int) -> float:
    """How far x0 may be from x0-hat for all that x_t says: sqrt((1 - a) / a), the noise in units of x0."""
    a = ALPHAS[t]
    return math.sqrt((1 - a) / a)


def newton_guided(x_t: Tensor, noise: Tensor, t: int, step: Step) -> tuple[Tensor, Tensor]:
    """Eq. 9 and 10 with a gradient scaled so that x0-hat moves by `step`: rho of Eq. 10 becomes a matrix.

    The gradient reaches x_t only through x0-hat (d x0-hat / d x_t = 1 / sqrt(a)), not through the denoiser.

    A fixed rho moves x0-hat by rho (1 - a) / a, next to nothing at small t; a live window has few steps to spend. The
    step minimises the guidance losses plus the distance to x0-hat in units of `spread(t)`.
    """
    change = step(predicted_x0(x_t, noise, t), t)
    changed = noise - change / spread(t)
    return predicted_x0(x_t, changed, t), changed


def towards(x_t: Tensor, x0: Tensor, t: int, s: int) -> Tensor:
    """x_s of a deterministic step whose clean sample is `x0` instead of what the denoiser says: `newton_guided` with
    where its step leads."""
    a, b = ALPHAS[t], ALPHAS[s]
    kept = math.sqrt((1 - b) / (1 - a))
    return kept * x_t + (math.sqrt(b) - kept * math.sqrt(a)) * x0


def bounded(x_t: Tensor, noise: Tensor, t: int, bound: float) -> tuple[Tensor, Tensor]:
    """(x0-hat, noise) with x0-hat within +-`bound`: near t = T next to nothing of x0 is left in x_t, and the smallest
    error of the noise would throw x0-hat far out."""
    a = ALPHAS[t]
    x0 = predicted_x0(x_t, noise, t).clamp(-bound, bound)
    return x0, (x_t - math.sqrt(a) * x0) / math.sqrt(1 - a)


def sample(
    x: Tensor, denoise: Denoiser, times: list[int], step: Step | None = None, bound: float | None = None
) -> Tensor:
    """From x_t at the first of the falling `times` to the last; guided by Newton steps if given, else with x0-hat
    within +-`bound` if that is given (1 for rotations, from pure noise)."""
    for t, s in pairwise(times):
        noise = denoise(x, t)
        if step is not None:
            x = noised(*newton_guided(x, noise, t, step), s)
        elif bound is not None:
            x = noised(*bounded(x, noise, t, bound), s)
        else:
            x = ddim_step(x, noise, t, s)
    return x
