"""Small symmetric positive definite systems, batched; written out where a graph is exported, for ONNX has no solver."""

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
