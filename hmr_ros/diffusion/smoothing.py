"""The quadratic part of guidance over a window of frames, and the Newton step that it allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MotionSpread:
    """How much a 6D number changes from frame to frame (1/30 s), and its speed; `inf` = anything goes."""

    change: float
    speed: float


def couplings(seconds: Tensor, present: Tensor, spread: MotionSpread, period_s: float = 1 / 30) -> Tensor:
    """Matrix A [P,W,W] of P windows: 1/2 x^T A x = Eq. 14 and its second-order sibling as negative log likelihoods.

    `seconds` [P,W-1] between neighbours, `present` [P,W] which rows hold frames. A longer time couples less: a random
    walk spreads with the time, a random speed with its third power.
    """
    W = present.shape[1]
    both = (present[:, 1:] * present[:, :-1])[..., None]
    ratio = (seconds / period_s).clamp_min(1e-3)[..., None]
    step = torch.eye(W)[1:] - torch.eye(W)[:-1]  # [W-1,W]
    speed = step / ratio
    D1 = both * step / (spread.change * ratio.sqrt())
    three = both[:, 1:] * both[:, :-1]
    # of two neighbouring differences the mean time between their middles
    middle = 0.5 * (ratio[:, 1:] + ratio[:, :-1])
    D2 = three * (speed[:, 1:] - speed[:, :-1]) / (spread.speed * middle.sqrt())
    return D1.transpose(1, 2) @ D1 + D2.transpose(1, 2) @ D2


class NewtonWindow:
    """Newton steps for E(x) = sum of precision/2 (x - mean)^2 + 1/2 x^T A x + anything else given by its gradient.

    `precision` [P,W,J] a joint, `mean` [P,W,J*6], `A` [P,W,W]. `extra` [P,W,J] is the curvature of the rest.
    """

    def __init__(self, mean: Tensor, precision: Tensor, A: Tensor, extra: Tensor | None = None) -> None:
        self._mean, self._precision, self._A = mean, precision, A
        diagonal = precision if extra is None else precision + extra
        H = torch.diag_embed(diagonal.transpose(1, 2)) + A[:, None]  # [P,J,W,W]
        self._factor = torch.linalg.cholesky(H)

    def gradient(self, x: Tensor) -> Tensor:
        """d E / d x [P,W,J*6] without the rest."""
        P, W, J = self._precision.shape
        pull = self._precision[..., None] * (x - self._mean).reshape(P, W, J, -1)
        return pull.reshape(P, W, -1) + self._A @ x

    def solve(self, gradient: Tensor) -> Tensor:
        """H^-1 gradient."""
        P, W, J = self._precision.shape
        g = gradient.reshape(P, W, J, -1).transpose(1, 2)  # [P,J,W,6]
        return torch.cholesky_solve(g, self._factor).transpose(1, 2).reshape(P, W, -1)
