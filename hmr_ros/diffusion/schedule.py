"""The noise schedule of all diffusion here; free of torch."""

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
