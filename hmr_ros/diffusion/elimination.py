"""Small symmetric systems in few, large operations: ONNX has no solver, and every operation costs a launch.

Written out because graphs are exported with them; what is not exported uses torch's own.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

import numpy as np
import torch
from torch import Tensor

from hmr_ros.diffusion.constants import constant

_SIDE = 3  # unknowns of a joint
_REACH = 2  # how far from the diagonal a window's matrix has entries


def newest(H: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """The last row of x with H x = r, [...,m], and 1 / (H^-1) of its diagonal entry, [...,1].

    `H` [...,W,W] symmetric and positive definite with no entries beyond the second neighbours, `r` [...,W,m], both with
    rows and columns in `elimination_order` of W. Rows that do not touch each other are eliminated together: 13 rows
    take 7 rounds.
    """
    M = torch.cat([H, r], -1)
    for size in map(len, _rounds(int(H.shape[-1]))):
        gone, M = torch.split(M, [size, int(M.shape[-2]) - size], -2)
        pivot, row = torch.split(gone, [size, int(M.shape[-1]) - size], -1)
        column, M = torch.split(M, [size, int(M.shape[-1]) - size], -1)
        if size > 1:
            pivot = (pivot * _eye(size, str(M.device), M.dtype)).sum(-1, keepdim=True)
        M = M - column @ (row / pivot)
    held, x = torch.split(M[..., 0, :], [1, int(r.shape[-1])], -1)
    return x / held, held


def elimination_order(rows: int) -> list[int]:
    """The order in which `newest` wants them: those that go first, then the next, the newest last."""
    return [row for gone in _rounds(rows) for row in gone] + [rows - 1]


def solved(A: Tensor, b: Tensor, groups: list[int]) -> Tensor:
    """x [N,n,m] with A x = b; `A` [N,n,n] symmetric and positive definite, `b` [N,n,m].

    `groups`: so many blocks of three neighbouring unknowns that do not touch each other, once those before them are
    eliminated, go together; n is three times their sum. For a tree that is one depth after the other, leaves first.
    Gauss-Jordan in blocks, without pivoting, which positive definite systems need not.
    """
    n, M = int(A.shape[-1]), torch.cat([A, b], -1)
    for blocks in groups:
        size = blocks * _SIDE
        first, others = torch.split(M, [size, n - size], -2)
        pivot, row = torch.split(first, [size, int(M.shape[-1]) - size], -1)
        column, M = torch.split(others, [size, int(M.shape[-1]) - size], -1)
        done = _block_inverse(pivot, blocks) @ row
        M = torch.cat([M - column @ done, done], -2)  # once round, each row is back in its place
    return M


@cache
def _rounds(rows: int) -> list[list[int]]:
    """Of each round the rows that are eliminated; what a row touched touches each other afterwards."""
    touched = {row: {k for k in range(rows) if 0 < abs(k - row) <= _REACH} for row in range(rows)}
    rounds: list[list[int]] = []
    while len(touched) > 1:
        gone: list[int] = []
        for row in sorted(touched)[:-1]:
            if not touched[row].intersection(gone):
                gone.append(row)
        for row in gone:
            around = touched.pop(row)
            for other in around:
                touched[other].discard(row)
            for a, b in combinations(around, 2):
                touched[a].add(b)
                touched[b].add(a)
        rounds.append(gone)
    return rounds


@cache
def _eye(size: int, device: str, dtype: torch.dtype) -> Tensor:
    return constant(np.eye(size), device, dtype)


def _block_inverse(D: Tensor, blocks: int) -> Tensor:
    """D^-1 of `D` [N,3B,3B], block diagonal with B symmetric blocks: adjugates over determinants."""
    n = blocks * _SIDE
    t = _cofactors(blocks, str(D.device), D.dtype)
    flat = D.reshape(-1, n * n)
    cofactors = (flat.index_select(-1, t.first) * flat.index_select(-1, t.second)) @ t.signs
    return (cofactors / ((flat * cofactors) @ t.sums)).reshape(-1, n, n)


class _Cofactors:
    """Where the products are that cofactors of B blocks on a diagonal are made of; see `_block_inverse`."""

    first: Tensor  # [18B] of n^2 entries
    second: Tensor  # [18B]
    signs: Tensor  # [18B,n^2] products -> cofactors, zero between the blocks
    sums: Tensor  # [n^2,n^2] entries times cofactors -> the determinant of each row's block

    def __init__(self, blocks: int, device: str, dtype: torch.dtype) -> None:
        n, first, second, entries = blocks * _SIDE, [], [], []
        for b, i, j in product(range(blocks), range(_SIDE), range(_SIDE)):
            rows, columns = ([b * _SIDE + (k + d) % _SIDE for d in (1, 2)] for k in (i, j))
            first += [rows[0] * n + columns[0], rows[0] * n + columns[1]]
            second += [rows[1] * n + columns[1], rows[1] * n + columns[0]]
            entries.append((b * _SIDE + i) * n + b * _SIDE + j)
        self.first, self.second = constant(first, device), constant(second, device)
        places = np.eye(n * n)[entries]
        self.signs = constant(np.stack([places, -places], 1).reshape(-1, n * n), device, dtype)
        block = np.repeat(np.repeat(np.eye(blocks), _SIDE, 0), _SIDE, 1).ravel()  # which entries lie in blocks
        same = np.repeat(np.repeat(np.eye(blocks), _SIDE * n, 0), _SIDE * n, 1)  # and in the same rows of blocks
        self.sums = constant(block[:, None] * same / _SIDE, device, dtype)


@cache
def _cofactors(blocks: int, device: str, dtype: torch.dtype) -> _Cofactors:
    return _Cofactors(blocks, device, dtype)
