"""Trimap-based render loss for 2D meshes (PostureHMR 3.4, Eq. 6): soft silhouettes compared along the true outline.

A pixel's coverage is exp(-d^2 / blur) with d its distance to the nearest triangle, 0 inside: SoftRas's silhouette with
the nearest triangle in place of the product over all, which thickens a body of many small triangles far more.
Each triangle reaches only the pixels around its middle, for those of the coarse mesh are one to three pixels wide.
Instead of products, intersection and union take the smaller and the larger value: equal soft masks have no loss.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 64  # pixels of the masks
BAND_PX = 2  # the paper's l; its value is not public
_BLUR_PX2 = 0.5
_REACH_PX = 4  # a triangle reaches so many pixels from its middle
_SOLID = 0.75  # coverage of what lies less than 0.4 pixels outside
_FAR_PX2 = 1e3
_TINY = 1e-8


def silhouette(mesh: Tensor, faces: Tensor, side: int = SIDE) -> Tensor:
    """Soft mask [B,side,side], 0..1, of vertices [B,V,2] in crop sides from the middle and triangles [T,3]."""
    # a mesh thrown far away must not overflow; pixel centres lie at 0.5, 1.5 ...
    corners = ((mesh.clamp(-4.0, 4.0) + 0.5) * side)[:, faces]  # [B,T,3,2]
    steps = torch.arange(-_REACH_PX, _REACH_PX + 1, device=mesh.device)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    middle = corners.detach().mean(2).floor().long()
    x, y = middle[..., :1] + dx.flatten(), middle[..., 1:] + dy.flatten()  # [B,T,N]
    distance = _squared_distance(x + 0.5, y + 0.5, corners)
    inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    at = (y * side + x).masked_fill(~inside, side * side)  # one more pixel takes what lies outside
    nearest = torch.full((len(mesh), side * side + 1), _FAR_PX2, device=mesh.device, dtype=mesh.dtype)
    nearest = nearest.scatter_reduce(1, at.flatten(1), distance.flatten(1), "amin")
    return torch.exp(-nearest[:, :-1] / _BLUR_PX2).reshape(-1, side, side)


def trimap(true: Tensor, band_px: int = BAND_PX) -> Tensor:
    """C_tri: 1 within `band_px` pixels of the outline of the true masks [B,h,w], else 0."""
    solid = (true.detach() > _SOLID).to(true)[:, None]
    size = 2 * band_px + 1
    grown = functional.max_pool2d(solid, size, 1, band_px)
    shrunk = -functional.max_pool2d(-solid, size, 1, band_px)
    return (grown - shrunk)[:, 0]


def iou_loss(predicted: Tensor, true: Tensor, region: Tensor | None = None) -> Tensor:
    """1 - intersection over union of soft masks [B,h,w], only where `region` is 1; [B]."""
    weight = torch.ones_like(true) if region is None else region
    both = (torch.minimum(predicted, true) * weight).sum((1, 2))
    either = (torch.maximum(predicted, true) * weight).sum((1, 2))
    return 1.0 - (both + _TINY) / (either + _TINY)


def trimap_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """The part of Eq. 6 that looks at the band around the true outline alone; [B]."""
    return iou_loss(predicted, true, trimap(true))


def render_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 6: 2 - IoU - IoU within the trimap, of soft masks [B,h,w]; [B]."""
    return iou_loss(predicted, true) + trimap_loss(predicted, true)


def _squared_distance(x: Tensor, y: Tensor, corners: Tensor) -> Tensor:
    """From points x, y [B,T,N] to triangles [B,T,3,2], either way round; 0 inside."""
    nearest: Tensor | None = None
    turns = []
    for k in range(3):
        (ax, ay), (bx, by) = (corners[:, :, i % 3, :, None].unbind(2) for i in (k, k + 1))
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = ((px * ex + py * ey) / (ex * ex + ey * ey + _TINY)).clamp(0.0, 1.0)
        gap = (px - along * ex).square() + (py - along * ey).square()
        nearest = gap if nearest is None else torch.minimum(nearest, gap)
        turns.append((px * ey - py * ex).detach())
    assert nearest is not None
    low = torch.minimum(torch.minimum(turns[0], turns[1]), turns[2])
    high = torch.maximum(torch.maximum(turns[0], turns[1]), turns[2])
    return nearest.masked_fill((low >= 0) | (high <= 0), 0.0)
