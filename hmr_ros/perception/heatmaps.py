"""What the landmark network's heat maps say of each landmark: where its mass lies, how wide and how much it is."""

from __future__ import annotations

import numpy as np

from hmr_ros.types import Floats, Ints

HEATMAP_PX = 64
_WINDOW = 3  # refinement reads 7 x 7 cells, as MediaPipe does
_SPREAD_WINDOW = 7  # moments read 15 x 15: a spread as wide as that of the smaller window would be the window's own
_MIN_PEAK = 0.5  # heat maps below this do not move their landmark


def refine(points: Floats, heatmaps: Floats, cells_per_px: float) -> Floats:
    """Landmarks [N,2] in crop pixels moved to the centre of mass of their heat map's neighbourhood; `heatmaps`
    [64,64,N] logits."""
    heat, rows, cols = _around(points * cells_per_px, heatmaps, _WINDOW)
    total = np.maximum(heat.sum((1, 2)), 1e-9)
    x, y = (heat.sum(1) * cols).sum(1) / total, (heat.sum(2) * rows).sum(1) / total
    return np.where(heat.max((1, 2))[:, None] >= _MIN_PEAK, np.stack([x, y], -1) / cells_per_px, points)


def moments(points: Floats, heatmaps: Floats, cells_per_px: float) -> Floats:
    """[N,6] of the heat around the landmarks [N,2] (crop pixels): mean x, y; covariance xx, xy, yy; mass.

    In crop pixels and their squares; the mass is the sum of the heat (0..1 a cell). With no heat at all the mean is the
    landmark and the covariance that of the window.
    """
    heat, rows, cols = _around(points * cells_per_px, heatmaps, _SPREAD_WINDOW)
    mass = heat.sum((1, 2))
    heat = heat + 1e-9
    heat = heat / heat.sum((1, 2), keepdims=True)
    across, down = heat.sum(1), heat.sum(2)
    x, y = (across * cols).sum(1), (down * rows).sum(1)
    dx, dy = cols - x[:, None], rows - y[:, None]
    xy = np.einsum("nrc,nr,nc->n", heat, dy, dx)
    spread = np.stack([(across * dx**2).sum(1), xy, (down * dy**2).sum(1)], -1)
    return np.concatenate([np.stack([x, y], -1) / cells_per_px, spread / cells_per_px**2, mass[:, None]], 1)


def moved(moments_px: Floats, M: Floats) -> Floats:
    """Moments [N,6] after the affine map [2,3] of the plane."""
    A = M[:, :2]
    xx, xy, yy = moments_px[:, 2], moments_px[:, 3], moments_px[:, 4]
    covariance = A @ np.stack([xx, xy, xy, yy], -1).reshape(-1, 2, 2) @ A.T
    flat = covariance.reshape(-1, 4)[:, [0, 1, 3]]
    return np.concatenate([moments_px[:, :2] @ A.T + M[:, 2], flat, moments_px[:, 5:]], 1)


def _around(cells: Floats, heatmaps: Floats, window: int) -> tuple[Floats, Ints, Ints]:
    """Heat [N,n,n] (0 beyond the edge) of the n = 2 window + 1 rows and columns [N,n] around `cells` [N,2]."""
    centre = np.floor(cells).astype(int)
    steps = np.arange(-window, window + 1)
    rows, cols = centre[:, 1, None] + steps, centre[:, 0, None] + steps
    valid = _there(rows)[:, :, None] & _there(cols)[:, None, :]
    r, c = np.clip(rows, 0, HEATMAP_PX - 1), np.clip(cols, 0, HEATMAP_PX - 1)
    logits = heatmaps[r[:, :, None], c[:, None, :], np.arange(len(cells))[:, None, None]].astype(np.float64)
    return sigmoid(logits) * valid, rows, cols


def _there(cells: Ints) -> Ints:
    return (cells >= 0) & (cells < HEATMAP_PX)


def sigmoid(x: Floats) -> Floats:
    """Logits to 0..1."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -50, 50))))
