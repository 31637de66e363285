"""Small symmetric systems in few, large operations: ONNX has no solver, and every operation costs a launch.

Written out because graphs are exported with them; what is not exported uses torch's own.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from hmr_ros.diffusion.constants import constant

_SIDE = 3  # unknowns of a joint


def newest(H: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """The last row of x with H x = r, [...,m], and 1 / (H^-1) of its diagonal entry, [...,1].

    `H` [...,W,W] symmetric and positive definite with no entries beyond the second neighbours, `r` [...,W,m], both with
    rows and columns in `elimination_order` of W. Pairs of rows that do not touch each other are eliminated together, so
    that half of the rows go in each round (cyclic reduction): 3 rounds for 16 rows.
    """
    M = torch.cat([H, r], -1)
    for eliminated in _rounds(int(H.shape[-1])):
        size = sum(len(block) for block in eliminated)
        M = _without_first(M, size, *_partners(tuple(len(b) for b in eliminated), str(M.device), M.dtype))
    last = M
    if H.shape[-1] > 1:
        first, last = M.split([1, 1], -2)
        last = (last - last[..., :1] / first[..., :1] * first)[..., 1:]
    held, x = last[..., 0, :].split([1, int(r.shape[-1])], -1)
    return x / held, held


def elimination_order(rows: int) -> list[int]:
    """The order in which `newest` wants them: those that go first, then the next, the newest last."""
    gone = [row for eliminated in _rounds(rows) for block in eliminated for row in block]
    return gone + [row for row in range(rows) if row not in gone]


def solved(A: Tensor, b: Tensor, groups: list[int]) -> Tensor:
    """x [...,n,m] with A x = b; `A` [...,n,n] symmetric and positive definite, `b` [...,n,m].

    `groups`: so many blocks of three neighbouring unknowns that do not touch each other, once those before them are
    eliminated, go together; n is three times their sum. For a tree that is one depth after the other, leaves first.
    Gauss-Jordan in blocks, without pivoting, which positive definite systems need not.
    """
    M, at = torch.cat([A, b], -1), 0
    for blocks in groups:
        size = blocks * _SIDE
        rows = M[..., at : at + size, :]
        others, pivot = _others(int(A.shape[-1]), at, size, str(M.device), M.dtype)
        column, M = (M * others).split([size, int(M.shape[-1]) - size], -1)
        its, rest = rows.split([size, int(M.shape[-1])], -1)
        M = M + (pivot - column) @ (_block_inverse(its, blocks) @ rest)
        at += size
    return M


def _without_first(M: Tensor, size: int, identity: Tensor, swap: Tensor, partner: Tensor) -> Tensor:
    """The Schur complement of the first `size` rows, whose block is made of pairs; `M` [...,n,n+m]."""
    eliminated, kept = M.split([size, int(M.shape[-2]) - size], -2)
    rest = int(M.shape[-1]) - size
    pivot, row = eliminated.split([size, rest], -1)
    column, block = kept.split([size, rest], -1)
    own = (pivot * identity).sum(-1, keepdim=True)
    between = (pivot * swap).sum(-1, keepdim=True)
    other = own.index_select(-2, partner)
    solved = (other * row - between * row.index_select(-2, partner)) / (own * other - between * between)
    return block - column @ solved


@cache
def _rounds(rows: int) -> list[list[list[int]]]:
    """Of each round the blocks of rows, two each or one, that are eliminated; two rows remain."""
    left, rounds = list(range(rows)), []
    while len(left) > 2:
        odd = len(left) % 2
        blocks = [left[:odd]] * odd + [left[k : k + 2] for k in range(odd, len(left), 2)]
        rounds.append(blocks[-2::-2][::-1])
        left = [row for block in blocks[-1::-2][::-1] for row in block]
    return rounds


@cache
def _partners(sizes: tuple[int, ...], device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Identity, the matrix that swaps both rows of each pair (zero for a row alone), and the row that each becomes."""
    order: list[int] = []
    for size in sizes:
        order += [len(order) + 1, len(order)] if size == 2 else [len(order)]
    eye = np.eye(len(order))
    return constant(eye, device, dtype), constant(eye[order] * (1 - eye), device, dtype), constant(order, device)


@cache
def _others(rows: int, at: int, size: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """[n,1] 0 for the rows of a pivot and 1 elsewhere, and [n,size] the identity in these rows."""
    pivot = np.eye(rows)[:, at : at + size]
    return constant(1 - pivot.sum(1, keepdims=True), device, dtype), constant(pivot, device, dtype)


def _block_inverse(D: Tensor, blocks: int) -> Tensor:
    """D^-1 of `D` [...,3B,3B], block diagonal with B symmetric blocks: adjugates over determinants."""
    n = blocks * _SIDE
    t = _cofactors(blocks, str(D.device), D.dtype)
    flat = D.reshape(*D.shape[:-2], n * n)
    cofactors = (flat.index_select(-1, t.first) * flat.index_select(-1, t.second)) @ t.signs  # [...,9B]
    own = flat if blocks == 1 else flat.index_select(-1, t.entries)
    inverse = cofactors / ((own * cofactors) @ t.sums)
    return (inverse if blocks == 1 else inverse @ t.places).reshape(*D.shape[:-2], n, n)


class _Cofactors:
    """Where the products are that cofactors of B blocks on a diagonal are made of; see `_block_inverse`."""

    def __init__(self, blocks: int, device: str, dtype: torch.dtype) -> None:
        n, first, second, entries = blocks * _SIDE, [], [], []
        for b, i, j in product(range(blocks), range(_SIDE), range(_SIDE)):
            rows, columns = ([b * _SIDE + (k + d) % _SIDE for d in (1, 2)] for k in (i, j))
            first += [rows[0] * n + columns[0], rows[0] * n + columns[1]]
            second += [rows[1] * n + columns[1], rows[1] * n + columns[0]]
            entries.append((b * _SIDE + i) * n + b * _SIDE + j)
        self.first, self.second, self.entries = (constant(index, device) for index in (first, second, entries))
        one, block = np.eye(len(entries)), np.full((_SIDE**2, _SIDE**2), 1 / _SIDE)
        self.signs = constant(np.stack([one, -one], 1).reshape(-1, len(entries)), device, dtype)  # [18B,9B]
        self.sums = constant(np.kron(np.eye(blocks), block), device, dtype)  # each column gives the determinant
        self.places = constant(np.eye(n * n)[entries], device, dtype)  # [9B,(3B)^2]


@cache
def _cofactors(blocks: int, device: str, dtype: torch.dtype) -> _Cofactors:
    return _Cofactors(blocks, device, dtype)
