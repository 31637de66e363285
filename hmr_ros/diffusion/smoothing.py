"""The quadratic part of guidance over a window of frames, and the Newton step that it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from hmr_ros.diffusion.constants import constant
from hmr_ros.diffusion.elimination import elimination_order, newest


def couplings(seconds: Tensor, present: Tensor, change: float, speed: float, period_s: float = 1 / 30) -> Tensor:
    """Matrix A [P,W,W] of P windows: 1/2 x^T A x = Eq. 14 and its second-order sibling as negative log likelihoods.

    `seconds` [P,W-1] between neighbours, `present` [P,W] which rows hold frames, `change` and `speed` the standard
    deviations of a number's change from frame to frame and of its speed (`inf`: anything goes). A longer time couples
    less: a random walk spreads with the time, a random speed with its third power.
    """
    W = int(present.shape[1])
    A = torch.zeros(W, W, dtype=seconds.dtype, device=seconds.device)
    if change < math.inf:
        first = _differences(W, str(seconds.device), seconds.dtype).first
        steps = (present[:, 1:] * present[:, :-1] / (change * _ratio(seconds, period_s).sqrt()))[..., None] * first
        A = A + steps.transpose(1, 2) @ steps
    if speed < math.inf:
        bends = speed_changes(seconds, present, period_s) / speed
        A = A + bends.transpose(1, 2) @ bends
    return A


def speed_changes(seconds: Tensor, present: Tensor, period_s: float = 1 / 30) -> Tensor:
    """Matrix D [P,W-2,W] of `couplings` for speeds with a standard deviation of 1: A = D^T D."""
    W = int(present.shape[1])
    constants = _differences(W, str(seconds.device), seconds.dtype)
    ratio = _ratio(seconds, period_s)
    both = present[:, 1:] * present[:, :-1]
    # of two neighbouring differences the mean time between their middles
    weight = both[:, 1:] * both[:, :-1] / (ratio @ constants.middle).sqrt()
    return weight[..., None] * ((1 / ratio) @ constants.second).reshape(-1, W - 2, W)


def _ratio(seconds: Tensor, period_s: float) -> Tensor:
    return (seconds / period_s).clamp_min(1e-3)


@dataclass(frozen=True)
class _Differences:
    """Constants of a window of W rows."""

    first: Tensor  # [W-1,W] rows -> differences of neighbours
    second: Tensor  # [W-1,(W-2)*W] rates -> the matrix that takes rows to the change of their speed
    middle: Tensor  # [W-1,W-2] times between neighbours -> times between their middles


@cache
def _differences(W: int, device: str, dtype: torch.dtype) -> _Differences:
    first, pairs = np.diff(np.eye(W), axis=0), np.eye(W - 1)
    second = pairs[1:, :, None] * first[1:, None] - pairs[:-1, :, None] * first[:-1, None]  # [W-2,W-1,W]
    flat = np.swapaxes(second, 0, 1).reshape(W - 1, -1)
    return _Differences(*(constant(a, device, dtype) for a in (first, flat, (pairs[1:] + pairs[:-1]).T / 2)))


def newest_rows(mean: Tensor, precision: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
    """Of a window's last row, all others free: where the energy of `NewtonWindow` with A = D^T D is lowest [P,J,c], and
    how firmly it is held there [P,J].

    `mean` [P,W,J,c], `precision` [P,W,J], `D` [P,W-2,W] of `speed_changes`. Solved for what the changes of speed
    pull, I + D diag(1 / precision) D^T: in D^T D steady motions are small differences of large numbers, 1e7 at 100 Hz,
    which float32 does not hold.
    """
    newest_mean, variance = mean[:, -1], 1 / precision.transpose(1, 2)  # [P,J,c], [P,J,W]
    if not D.shape[1]:
        return newest_mean, 1 / variance[..., -1]
    rows = D.index_select(1, _order(int(D.shape[1]), str(D.device)))[:, None]  # [P,1,W-2,W]
    eye = torch.eye(int(D.shape[1]), dtype=D.dtype, device=D.device)
    K = rows * variance[..., None, :] @ rows.transpose(2, 3) + eye
    pull, firm = newest(K, rows @ mean.transpose(1, 2))
    last = variance[..., -1:]
    reach = last * rows[..., -1, -1:]  # how far the last row goes with a pull of 1
    return newest_mean - reach * pull, (1 / (last - reach * reach / firm))[..., 0]


@cache
def _order(rows: int, device: str) -> Tensor:
    return constant(elimination_order(rows), device)


class NewtonWindow:
    """Newton steps for E(x) = sum of precision/2 (x - mean)^2 + 1/2 x^T A x, and its minimum.

    `precision` [P,W,J] a joint, `mean` [P,W,J*c], `A` [P,W,W].
    """

    def __init__(self, mean: Tensor, precision: Tensor, A: Tensor) -> None:
        self._mean, self._precision, self._A = mean, precision, A

    def gradient(self, x: Tensor) -> Tensor:
        """d E / d x [P,W,J*c]."""
        return self._weighted(x - self._mean) + self._A @ x

    def minimum(self) -> Tensor:
        """Where E is lowest [P,W,J*c]."""
        return self._solve(self._weighted(self._mean), 0.0)

    def proximal(self, x: Tensor, held: float) -> Tensor:
        """What lowers E(y) + held/2 |y - x|^2 the most [P,W,J*c]."""
        return x - self._solve(self.gradient(x), held)

    def _weighted(self, x: Tensor) -> Tensor:
        return (self._precision[..., None] * _by_joint(x, self._precision)).flatten(2)

    def _solve(self, gradient: Tensor, held: float) -> Tensor:
        diagonal = (self._precision + held).transpose(1, 2)[..., None]
        eye = torch.eye(int(self._A.shape[1]), device=diagonal.device)
        H = diagonal * eye + self._A[:, None]  # [P,J,W,W]
        g = _by_joint(gradient, self._precision).transpose(1, 2)  # [P,J,W,c]
        return torch.cholesky_solve(g, torch.linalg.cholesky(H)).transpose(1, 2).flatten(2)


def _by_joint(x: Tensor, precision: Tensor) -> Tensor:
    """[P,W,J*c] -> [P,W,J,c] for `precision` [P,W,J]."""
    return x.reshape(*x.shape[:-1], int(precision.shape[2]), -1)
