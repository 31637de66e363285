"""The noise of all diffusion here and its schedule; free of torch."""

from __future__ import annotations

import numpy as np

from hmr_ros.types import Floats

STEPS = 1000  # T
_OFFSET, _MAX_BETA = 0.008, 0.999


def cosine_alphas(steps: int = STEPS) -> Floats:
    """Cumulative alpha [steps + 1]: 1 at t = 0 (clean), near 0 at t = steps."""
    t = np.arange(steps + 1) / steps
    f = np.cos((t + _OFFSET) / (1 + _OFFSET) * np.pi / 2) ** 2
    betas = np.minimum(1 - f[1:] / f[:-1], _MAX_BETA)
    return np.concatenate([[1.0], np.cumprod(1 - betas)])


ALPHAS: list[float] = cosine_alphas().tolist()


def falling(start: int, steps: int) -> list[int]:
    """Noise levels from `start` to 0 in `steps` equal steps: `steps` + 1 of them."""
    return [round(start * (1 - k / steps)) for k in range(steps + 1)]


def antithetic(rng: np.random.Generator, samples: int, count: int) -> Floats:
    """Normal numbers [S,D], the same for everybody, so that nobody's answer depends on who else is there. Every second
    row is the one before with the other sign: the mean of few samples is near that of many."""
    half = rng.standard_normal(((samples + 1) // 2, count))
    return np.stack([half, -half], 1).reshape(-1, count)[:samples]
