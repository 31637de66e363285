"""Which points of the body BlazePose's landmarks are: convex combinations of the 448 points, learned from pairs."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from hmr_ros.types import Floats

_SURE = 0.8  # confidence of a landmark to learn from
_KEEP = (0.8, 0.9)  # share of the best rows kept after each round
_SUM_WEIGHT = 100.0  # weight of the row that makes the coefficients sum to one


def fit_landmarks(points_2d: Floats, landmarks_2d: Floats, confidence: Floats) -> Floats:
    """Weights W [33,P], non-negative, rows sum to 1, with W @ points_2d [N,P,2] ~ landmarks_2d [N,33,2].

    Unsure landmarks and the worst of the rest are left out.
    """
    P = points_2d.shape[1]
    W = np.zeros((landmarks_2d.shape[1], P))
    for k in range(len(W)):
        sure = confidence[:, k] > _SURE
        keep = sure
        for share in _KEEP:  # the first solution tells which are outliers
            W[k] = _convex(points_2d[keep], landmarks_2d[keep, k])
            error = np.linalg.norm(np.einsum("npc,p->nc", points_2d, W[k]) - landmarks_2d[:, k], axis=-1)
            keep = sure & (error <= np.quantile(error[sure], share))
    return W


def _convex(points_2d: Floats, target: Floats) -> Floats:
    """Non-negative weights [P] with sum 1."""
    P = points_2d.shape[1]
    A = np.concatenate([points_2d.transpose(0, 2, 1).reshape(-1, P), np.full((1, P), _SUM_WEIGHT)])
    w = nnls(A.T @ A, A.T @ np.r_[target.reshape(-1), _SUM_WEIGHT], maxiter=20 * P)[0]
    return np.asarray(w / w.sum())
