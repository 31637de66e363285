"""The prior distribution U (section 4.2): what heat maps, a depth distribution, depth joints, other cameras or a user
say of the points, as linear measurements.

Where the pelvis stands is not part of the points; it is left open and falls out of the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE
from hmr_ros.methods.hmdiff.alignment import Prior
from hmr_ros.types import Array, Floats

if TYPE_CHECKING:
    from jaxtyping import Float

_LEAST_SIGMA_M = 1e-3
_LEAST_NORM = 1e-6
# error of a landmark, in sizes of the person, for the spread of its heat map; from benchmarks/heatmaps.py
_HEAT_FACTOR, _HEAT_POWER, _LEAST_2D = 2.9, 1.7, 0.02
_LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True)
class Measured:
    """M numbers that are linear in the points of N people."""

    rows: Float[Array, "N M 243"]  # of the points, pelvis at the origin
    place: Float[Array, "N M 3"]  # of where the pelvis is; 0 where that does not matter
    value: Float[Array, "N M"]
    sigma: Float[Array, "N M"]  # one standard deviation; inf where unknown
    drawn: Float[Array, "N S M"] | None = None  # where they are not normal: draws, `value` and `sigma` their moments


def rays(
    mixture: Floats, uv: Floats, sigma_m: Floats, R: Floats | None = None, t: Floats | None = None
) -> Measured:  # fmt: skip
    """Points seen by a camera: `uv` [N,K,2] on its plane z = 1 of the `mixture` [K,81] of the points, with `sigma_m`
    [N,K] m across the ray (inf: unseen).

    `R` [N,3,3] and `t` [N,3] m take the axes of the points to the camera's; None: the points' own camera, which is
    aimed at the person.
    """
    N, K = uv.shape[:2]
    R = np.broadcast_to(np.eye(3), (N, 3, 3)) if R is None else R
    t = np.zeros((N, 3)) if t is None else t
    # x - u z = 0 of the point R (p + pelvis) + t, a plane through the camera for each of u and v
    plane = R[:, None, :2] - uv[..., None] * R[:, None, 2:]  # [N,K,2,3]
    rows = np.einsum("kp,nkcx->nkcpx", mixture, plane).reshape(N, 2 * K, -1)
    value = uv * t[:, None, 2:] - t[:, None, :2]
    return Measured(rows, plane.reshape(N, 2 * K, 3), value.reshape(N, -1), np.repeat(sigma_m, 2, axis=1))


def sigma_2d(confidence: Floats, heat: Floats) -> Floats:
    """Standard deviation an axis [N,33] of landmarks in sizes of the person, by the spread of their heat maps [N,33,6];
    where that is NaN, by their `confidence` [N,33]."""
    spread = np.sqrt((heat[..., 2] + heat[..., 4]) / 2)
    seen = np.hypot(_HEAT_FACTOR * spread**_HEAT_POWER, _LEAST_2D)
    return np.where(np.isfinite(seen), seen, _LEAST_2D / np.maximum(confidence, _LEAST_CONFIDENCE) ** 1.5)


def joints(which: list[int], points: Floats, covariance: Floats, relative: bool = False) -> Measured:
    """Joints found elsewhere: `points` [N,J,3] m in the axes of the aimed camera with their `covariance` [N,J,3,3]; of
    those of the 81 points that `which` names. NaN: unknown. `relative`: to the pelvis; else from the camera."""
    N, J = points.shape[:2]
    unknown = np.asarray(~np.isfinite(points).all(-1))
    covariance = np.where(unknown[..., None, None], np.eye(3), covariance) + _LEAST_SIGMA_M**2 * np.eye(3)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))  # its rows measure with unit standard deviation
    rows = np.zeros((N, J, 3, NUM_SPARSE, 3))
    for j, point in enumerate(which):
        rows[:, j, :, point] += inverse[:, j]
        rows[:, j, :, 0] -= inverse[:, j] if relative else 0.0  # point 0 is the pelvis
    value = (inverse @ np.nan_to_num(points)[..., None])[..., 0]
    place = np.zeros_like(inverse) if relative else inverse
    sigma = np.repeat(np.where(unknown, np.inf, 1.0), 3, axis=1)
    return Measured(rows.reshape(N, 3 * J, -1), place.reshape(N, -1, 3), value.reshape(N, -1), sigma)


def depths(which: list[int], z: Floats, sigma: Floats) -> Measured:
    """Third coordinate [N,J] m, from the camera, of the points `which`; inf `sigma`: unknown."""
    N, J = z.shape
    rows, place = np.zeros((N, J, NUM_SPARSE, 3)), np.zeros((N, J, 3))
    rows[:, np.arange(J), which, 2], place[..., 2] = 1.0, 1.0
    return Measured(rows.reshape(N, J, -1), place, np.nan_to_num(z), sigma)


def depth_distribution(
    probability: Floats, reach_m: float, factor: Floats, samples: int, rng: np.random.Generator
) -> Measured:  # fmt: skip
    """Depth of the 17 joints relative to the pelvis from the distribution over bins [N,17,B] within +-`reach_m`, with
    so many draws.

    Bins of different joints belong together as the errors of the network do, whose covariance is A A^T with `factor`
    A [N,243,R]: the joints' ranks are drawn from a normal distribution with that correlation.
    """
    N, J, B = probability.shape
    edges = np.linspace(-reach_m, reach_m, B + 1)
    centre = (edges[1:] + edges[:-1]) / 2
    mean = probability @ centre
    variance = np.einsum("njb,njb->nj", probability, (centre - mean[..., None]) ** 2)
    rows = np.zeros((N, J, NUM_SPARSE, 3))
    rows[:, np.arange(J), np.arange(J), 2] = 1.0
    rows[:, :, 0, 2] -= 1.0
    A = factor.reshape(N, NUM_SPARSE, 3, -1)[:, :J, 2]
    A = A / np.maximum(np.linalg.norm(A, axis=-1, keepdims=True), _LEAST_NORM)
    rank = ndtr(np.einsum("njr,sr->nsj", A, antithetic(rng, samples, A.shape[-1])))
    below = np.cumsum(probability, -1)
    bin_ = np.minimum((rank[..., None] > below[:, None]).sum(-1), B - 1)
    share = np.take_along_axis(probability[:, None], bin_[..., None], -1)[..., 0]
    start = np.take_along_axis(below[:, None], bin_[..., None], -1)[..., 0] - share
    drawn = edges[bin_] + (edges[1] - edges[0]) * np.clip((rank - start) / np.maximum(share, 1e-9), 0.0, 1.0)
    sigma = np.sqrt(variance + (edges[1] - edges[0]) ** 2 / 12)
    sigma[:, 0] = np.inf  # the pelvis itself
    return Measured(rows.reshape(N, J, -1), np.zeros((N, J, 3)), mean, sigma, drawn)


def antithetic(rng: np.random.Generator, samples: int, count: int) -> Floats:
    """Normal numbers [S,D], the same for everybody, so that nobody's answer depends on who else is there. Every second
    row is the one before with the other sign: the mean of few samples is near that of many."""
    half = rng.standard_normal(((samples + 1) // 2, count))
    return np.stack([half, -half], 1).reshape(-1, count)[:samples]


def prior_of(measured: list[Measured], samples: int, rng: np.random.Generator) -> Prior:
    """U with so many draws, of all that was measured; where the pelvis is falls out."""
    parts = []
    for m in measured:
        weight = np.where(np.isfinite(m.sigma), 1.0 / np.maximum(m.sigma, _LEAST_NORM), 0.0)
        if m.drawn is None:
            around = (weight > 0)[:, None] * antithetic(rng, samples, weight.shape[1])
            drawn = (weight * m.value)[:, None] + around
        else:
            drawn = weight[:, None] * m.drawn
        parts.append((weight[..., None] * m.rows, weight[..., None] * m.place, (weight * m.value)[..., None],
                      np.swapaxes(drawn, 1, 2), (weight > 0).sum(1)))  # fmt: skip
    rows, place, value, drawn = (np.concatenate([p[i] for p in parts], 1) for i in range(4))
    free = _orthonormal(place)
    rows, value, drawn = (a - free @ (np.swapaxes(free, 1, 2) @ a) for a in (rows, value, drawn))
    known = sum(p[4] for p in parts) - (np.abs(free).sum(1) > 0).sum(1)
    return Prior(rows, value[..., 0], np.swapaxes(drawn, 1, 2), np.maximum(known, 0).astype(float))


def _orthonormal(place: Floats) -> Floats:
    """[N,M,3] columns that span those of `place` [N,M,3]; zero where they span less."""
    U, size, _ = np.linalg.svd(place, full_matrices=False)
    return np.asarray(U * (size > 1e-6 * np.maximum(size[:, :1], _LEAST_NORM))[:, None])


def joint_index(smpl_joint: int) -> int:
    """Which of the 81 points a joint of SMPL is."""
    return int(np.flatnonzero(smpl_joint == JOINT_IDS)[0])
