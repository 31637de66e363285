"""The quadratic part of guidance over a window of frames, and the Newton step that it allows.

Small symmetric systems are solved here too: written out where a graph is exported, for ONNX has no solver.
"""

from __future__ import annotations

import torch
from torch import Tensor


def solve_spd(A: Tensor, b: Tensor) -> Tensor:
    """x [...,n,m] with A x = b, `A` [...,n,n] symmetric and positive definite, `b` [...,n,m]."""
    if torch.onnx.is_in_onnx_export() or A.is_cuda:  # nor can a solver be part of a CUDA graph
        return eliminate(A, b)
    return torch.as_tensor(torch.cholesky_solve(b, torch.linalg.cholesky(A)))


def eliminate(A: Tensor, b: Tensor) -> Tensor:
    """The same by Gauss-Jordan elimination in single steps, which a positive definite matrix needs no pivots for; a
    round of iterative refinement gives back what float32 loses on the way."""
    n = int(A.shape[-1])
    eye = torch.eye(n, dtype=A.dtype, device=A.device)
    M = torch.cat([A, eye + 0 * A], -1)
    for k in range(n):
        row = M[..., k : k + 1, :] / M[..., k : k + 1, k : k + 1]
        M = M - (M[..., k : k + 1] - eye[:, k : k + 1]) * row  # row k becomes `row` itself
    inverse = M[..., n:]
    x = inverse @ b
    return x + inverse @ (b - A @ x)


def couplings(seconds: Tensor, present: Tensor, change: float, speed: float, period_s: float = 1 / 30) -> Tensor:
    """Matrix A [P,W,W] of P windows: 1/2 x^T A x = Eq. 14 and its second-order sibling as negative log likelihoods.

    `seconds` [P,W-1] between neighbours, `present` [P,W] which rows hold frames, `change` and `speed` the standard
    deviations of a number's change from frame to frame and of its speed (`inf`: anything goes). A longer time couples
    less: a random walk spreads with the time, a random speed with its third power.
    """
    W = int(present.shape[1])
    both = (present[:, 1:] * present[:, :-1])[..., None]
    ratio = (seconds / period_s).clamp_min(1e-3)[..., None]
    step = torch.eye(W)[1:] - torch.eye(W)[:-1]  # [W-1,W]
    velocity = step / ratio
    D1 = both * step / (change * ratio.sqrt())
    three = both[:, 1:] * both[:, :-1]
    # of two neighbouring differences the mean time between their middles
    middle = 0.5 * (ratio[:, 1:] + ratio[:, :-1])
    D2 = three * (velocity[:, 1:] - velocity[:, :-1]) / (speed * middle.sqrt())
    return D1.transpose(1, 2) @ D1 + D2.transpose(1, 2) @ D2


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

    def newest(self) -> tuple[Tensor, Tensor]:
        """Of the last row, all others free: where E is lowest [P,J*c] and how firmly it is held there [P,J]."""
        wanted = _by_joint(self._weighted(self._mean), self._precision)
        last = torch.zeros_like(wanted[..., :1])
        last = last + torch.eye(int(self._A.shape[1]), device=last.device)[:, -1:, None]
        solved = self._solve(torch.cat([wanted, last], -1).flatten(2), 0.0)
        newest = _by_joint(solved, self._precision)[:, -1]
        return newest[..., :-1].flatten(1), 1 / newest[..., -1]

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
        return solve_spd(H, g).transpose(1, 2).flatten(2)


def _by_joint(x: Tensor, precision: Tensor) -> Tensor:
    """[P,W,J*c] -> [P,W,J,c] for `precision` [P,W,J]."""
    return x.reshape(*x.shape[:-1], int(precision.shape[2]), -1)
