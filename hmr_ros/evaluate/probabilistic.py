"""How good a distribution is: coverage, rank, CRPS and the error of the best of n samples."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, spearmanr

from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.geometry.covariance import mahalanobis_squared, mean_sigma
from hmr_ros.types import Floats

_ELLIPSOIDS = {0.68: float(chi2.ppf(0.68, 3)), 0.95: float(chi2.ppf(0.95, 3))}


def coverage(errors: Floats, covariance: Floats, share: float) -> float:
    """Share 0..1 of errors [...,3] m inside the ellipsoid of `covariance` [...,3,3] m^2 that should hold `share` (0.68
    or 0.95) of them."""
    return float((mahalanobis_squared(errors, covariance) <= _ELLIPSOIDS[share]).mean())


def rank(errors: Floats, covariance: Floats) -> float | None:
    """Spearman's correlation of sigma with the length of the error; None where nothing can be ranked."""
    sigma, away = mean_sigma(covariance).ravel(), np.linalg.norm(errors, axis=-1).ravel()
    if np.ptp(sigma) == 0 or np.ptp(away) == 0:
        return None
    return float(spearmanr(sigma, away).statistic)


def crps(samples: Floats, truth: Floats) -> float:
    """Continuous ranked probability score in mm, mean over axes and joints: E|x - y| - E|x - x'| / 2 with samples
    [N,S,J,3] m and truth [N,J,3] m (Gneiting and Raftery 2007, energy form, unbiased)."""
    count = samples.shape[1]
    away = np.abs(samples - truth[:, None]).mean(1)
    ordered = np.sort(samples, axis=1)
    weights = (2 * np.arange(1, count + 1) - count - 1) / max(count * (count - 1), 1)
    between = 2 * np.einsum("s,nsjc->njc", weights, ordered)
    return float(1e3 * (away - between / 2).mean())


def best_of(samples: Floats, truth: Floats, counts: tuple[int, ...], aligned: bool = True) -> dict[int, float]:
    """Mean over people of the least error in mm among the first n samples [N,S,J,3] m; `aligned`: after the best
    similarity transform (PA-MPJPE), else with coinciding first joints (MPJPE).

    Never read alone: samples that are too far apart do well by it, and their coverage tells.
    """
    N, S, J = samples.shape[:3]
    if aligned:
        repeated = np.repeat(truth, S, 0)
        errors = procrustes_errors(samples.reshape(N * S, J, 3), repeated).mean(-1).reshape(N, S)
    else:
        errors = 1e3 * np.linalg.norm(samples - samples[:, :, :1] - (truth - truth[:, :1])[:, None], axis=-1).mean(-1)
    return {n: float(errors[:, :n].min(1).mean()) for n in counts if n <= S}
