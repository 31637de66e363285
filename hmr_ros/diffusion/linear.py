"""Small symmetric positive definite systems, batched; written out where a graph is exported, for ONNX has no solver."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_spd(A: Tensor, b: Tensor) -> Tensor:
    """x [...,n,m] with A x = b, `A` [...,n,n] symmetric and positive definite, `b` [...,n,m]."""
    if torch.onnx.is_in_onnx_export():
        return eliminate(A, b)
    return torch.as_tensor(torch.cholesky_solve(b, torch.linalg.cholesky(A)))


def eliminate(A: Tensor, b: Tensor) -> Tensor:
    """The same by Gauss-Jordan elimination in single steps, which a positive definite matrix needs no pivots for."""
    n = A.shape[-1]
    M = torch.cat([A, b], -1)
    for k in range(int(n)):
        row = M[..., k : k + 1, :] / M[..., k : k + 1, k : k + 1]
        away = M[..., k : k + 1] - torch.eye(int(n), dtype=A.dtype)[:, k : k + 1]  # row k becomes `row` itself
        M = M - away * row
    return M[..., n:]
