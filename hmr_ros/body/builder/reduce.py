"""A fine mesh with its shapes, skin weights and joints -> the same on a coarser mesh."""

from __future__ import annotations

import fast_simplification
import numpy as np
from scipy.spatial import cKDTree

from hmr_ros.body.joints import SMPL, SMPL_PARENTS
from hmr_ros.body.model import NUM_JOINTS
from hmr_ros.errors import AssetError
from hmr_ros.types import Floats, Ints

NEAR_TRIANGLES = 32  # candidates, by centroid, for the closest point of one vertex
LIMB_BALL_M, TRUNK_BALL_M = 0.11, 0.17  # how far from a joint the vertices of its regressor may lie
MAX_SUPPORT = 160  # vertices per joint
RIDGE = 3e-4  # m; pulls the regressor to the plain mean, so that its weights stay moderate


def decimate(vertices: Floats, faces: Ints, num_vertices: int) -> tuple[Floats, Ints]:
    """Quadric decimation of a closed genus-0 mesh to exactly `num_vertices`: vertices [n,3] m, faces [2n-4,3]."""
    wanted = 2 * num_vertices - 4  # Euler's formula
    points, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=wanted, agg=3
    )
    if len(points) != num_vertices or len(triangles) != wanted or euler_number(triangles) != 2:
        raise AssetError(
            f"decimation gave {len(points)} vertices and {len(triangles)} faces, not {num_vertices} and {wanted}; "
            "use fast-simplification 0.2.0"
        )
    return points.astype(np.float64), triangles.astype(np.int64)


def euler_number(faces: Ints) -> int:
    """Vertices - edges + faces [F,3]; 2 for a closed surface without holes."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return len(np.unique(faces)) - len(np.unique(edges, axis=0)) + len(faces)


def barycentric_transfer(points: Floats, vertices: Floats, faces: Ints) -> tuple[Ints, Floats]:
    """For points [n,3] the closest point on the mesh: corner ids [n,3] and their barycentric weights [n,3]."""
    corners = vertices[faces]  # [F,3,3]
    _, near = cKDTree(corners.mean(1)).query(points, k=NEAR_TRIANGLES)
    bary = closest_on_triangles(points[:, None, :], corners[near])  # [n,k,3]
    gap = np.linalg.norm(np.einsum("nkt,nktc->nkc", bary, corners[near]) - points[:, None], axis=-1)
    best = gap.argmin(1)
    rows = np.arange(len(points))
    return faces[near[rows, best]], bary[rows, best]


def closest_on_triangles(points: Floats, corners: Floats) -> Floats:
    """Barycentric weights [...,3] of the point of triangle [...,3,3] closest to points [...,3]."""
    a, b, c = (corners[..., i, :] for i in range(3))
    inside = _plane_weights(points, a, b, c)
    # outside the triangle the closest point lies on one of the three edges
    is_inside = np.all(inside >= 0, axis=-1, keepdims=True)
    tries = [np.where(is_inside, inside, np.nan)]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[..., i, :], corners[..., j, :] - corners[..., i, :]
        t = np.clip(np.sum((points - start) * along, -1) / np.maximum(np.sum(along**2, -1), 1e-18), 0, 1)
        weights = np.zeros(inside.shape)
        weights[..., i], weights[..., j] = 1 - t, t
        tries.append(weights)
    options = np.stack(tries, axis=-2)  # [...,4,3]
    gaps = np.linalg.norm(options @ corners - points[..., None, :], axis=-1)
    best = np.where(np.isnan(gaps), np.inf, gaps).argmin(-1)
    return np.take_along_axis(options, best[..., None, None], axis=-2)[..., 0, :]


def _plane_weights(points: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    """Barycentric weights [...,3] of the foot of the perpendicular; negative outside the triangle."""
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = np.sum(u * u, -1), np.sum(u * v, -1), np.sum(v * v, -1)
    wu, wv = np.sum(w * u, -1), np.sum(w * v, -1)
    area = np.maximum(uu * vv - uv * uv, 1e-24)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    return np.stack([1 - s - t, s, t], axis=-1)


def fit_joint_regressor(shapes: Floats, joints: Floats, weights: Floats, rng: np.random.Generator) -> Floats:
    """Regressor [24,V] with rows that sum to 1, from shapes [n,V,3] m and their joints [n,24,3] m.

    Each joint is a signed mean of vertices around it on its own limb (skin weights [V,24]), fitted by ridge
    regression towards the plain mean.
    """
    regressor = np.zeros((NUM_JOINTS, weights.shape[0]))
    trunk = {SMPL[n] for n in ("pelvis", "spine1", "spine2", "spine3", "head")}
    for j in range(NUM_JOINTS):
        ids = _support(j, shapes[0], joints[0, j], weights, TRUNK_BALL_M if j in trunk else LIMB_BALL_M)
        if len(ids) > MAX_SUPPORT:
            ids = np.sort(rng.permutation(ids)[:MAX_SUPPORT])
        seen = shapes[:, ids].transpose(0, 2, 1).reshape(-1, len(ids)).astype(np.float64)
        mean = np.full(len(ids), 1 / len(ids))
        keep_sum = np.eye(len(ids)) - 1 / len(ids)  # steps that leave the sum of the weights at 1
        B = seen @ keep_sum
        missing = B.T @ (joints[:, j].reshape(-1) - seen @ mean)
        step = np.linalg.solve(B.T @ B + RIDGE**2 * len(B) * np.eye(len(ids)), missing)
        regressor[j, ids] = mean + keep_sum @ step
    return regressor


def _support(j: int, template: Floats, joint: Floats, weights: Floats, radius: float) -> Ints:
    """Ids of the vertices that may regress joint j: inside a ball [m] and moved mostly by the joint or its parent."""
    owners = [j, SMPL_PARENTS[j]] if j else [0, 1, 2]
    close = np.linalg.norm(template - joint, axis=1) < radius
    return np.flatnonzero(close & (weights[:, owners].sum(1) > 0.5))
