"""Written-out solutions of small systems against a library's, in float64."""

import pytest
import torch

from hmr_ros.diffusion.elimination import elimination_order, newest, solved


def banded(rows, people=3, stiff=1.0):
    """Second differences and a diagonal, with right sides, as of windows of frames."""
    g = torch.Generator().manual_seed(rows)
    D = torch.zeros(people, max(rows - 2, 0), rows)
    for k in range(rows - 2):
        D[:, k, k : k + 3] = stiff * torch.tensor([1.0, -2.0, 1.0]) * (0.5 + torch.rand(people, 1, generator=g))
    H = D.transpose(1, 2) @ D + torch.diag_embed(0.5 + torch.rand(people, rows, generator=g))
    return H.double(), torch.randn(people, rows, 5, generator=g).double()


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 13, 14, 30])
def test_the_newest_row_is_that_of_the_whole_solution(rows):
    H, r = banded(rows)
    order = elimination_order(rows)
    assert sorted(order) == list(range(rows)) and order[-1] == rows - 1
    x, held = newest(H[:, order][:, :, order], r[:, order])
    torch.testing.assert_close(x, torch.linalg.solve(H, r)[:, -1])
    torch.testing.assert_close(held[:, 0], 1 / torch.linalg.inv(H)[:, -1, -1])


def test_float32_is_enough_for_a_window():
    H, r = banded(14, people=200, stiff=30.0)
    order = elimination_order(14)
    x, held = newest(H[:, order][:, :, order].float(), r[:, order].float())
    expected = torch.linalg.solve(H, r)[:, -1]
    assert (x - expected).abs().max() < 1e-3 * expected.abs().max()
    torch.testing.assert_close(held[:, 0].double(), 1 / torch.linalg.inv(H)[:, -1, -1], rtol=1e-3, atol=0)


def tree(scale, dtype=torch.float64):
    """Four leaves that hang on two branches and these on a root: which residuals each of seven moves."""
    g = torch.Generator().manual_seed(0)
    A = torch.zeros(5, 4, 6, 7, 3)
    for leaf in range(4):
        for node in (leaf, 4 + leaf // 2, 6):
            A[:, leaf, :, node] = scale * torch.randn(5, 6, 3, generator=g)
    A = A.reshape(5, 24, 21).to(dtype)
    return A, torch.randn(5, 24, 2, generator=g).to(dtype)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_blocks_of_a_tree_are_eliminated_from_its_leaves(scale):
    A, r = tree(scale)
    T = A.transpose(1, 2)
    N, b = T @ A + torch.eye(21, dtype=A.dtype), T @ r
    expected = torch.linalg.solve(N, b)
    torch.testing.assert_close(solved(N, b, [4, 2, 1]), expected)
    found = solved(N.float(), b.float(), [4, 2, 1]).double()
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_one_block_after_the_other_solves_any_system():
    g = torch.Generator().manual_seed(1)
    B = torch.randn(2, 12, 12, generator=g, dtype=torch.float64)
    N, b = B @ B.transpose(1, 2) + torch.eye(12), torch.randn(2, 12, 1, generator=g, dtype=torch.float64)
    torch.testing.assert_close(solved(N, b, [1, 1, 1, 1]), torch.linalg.solve(N, b))
