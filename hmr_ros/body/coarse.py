"""The coarse mesh: 431 vertices with neighbours and dense up-sampling, 81 sparse points, for any SMPL-format body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from hmr_ros.body.joints import SMPL, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.body.points import BodyPoints, points_of
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.io.results import save_arrays
from hmr_ros.types import Floats, Ints

NUM_VERTICES = 431
NUM_MARKERS = 64
SPARSE_JOINTS = (
    "pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "spine1", "spine3",
    "neck", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
JOINT_IDS = np.array([SMPL[name] for name in SPARSE_JOINTS])
SPARSE_LIMBS = np.array([list(JOINT_IDS).index(j) for j in SMPL_LIMBS])  # the limb joints among the 81 points


def _sparse_parents() -> Ints:
    """[17] the nearest ancestor among the sparse joints, -1 for the pelvis."""
    place = {int(j): i for i, j in enumerate(JOINT_IDS)}
    found = []
    for joint in JOINT_IDS:
        parent = int(SMPL_PARENTS[joint])
        while parent >= 0 and parent not in place:
            parent = int(SMPL_PARENTS[parent])
        found.append(place.get(parent, -1))
    return np.array(found)


SPARSE_PARENTS = _sparse_parents()
NUM_SPARSE = len(SPARSE_JOINTS) + NUM_MARKERS  # 81, as in VirtualMarker: 17 joints and 64 surface markers
_NEIGHBOURS = 12
_MIDLINE_M = 0.012
_POSES = 100  # random bodies from which weights are learned
_RIDGE, _RIDGE_SPARSE = 1e-6, 0.01


@dataclass(frozen=True)
class CoarseMesh:
    """Choice of vertices of one body. The 81 sparse points are the 17 joints, then the first 64 of the vertices."""

    vertex_ids: Ints  # [431] into the body's vertices; the first 64 are the markers
    mirrored: Ints  # [431] index of the vertex on the other side (itself on the midline)
    adjacency: Floats  # [431,431] rows sum to 1, self loops included
    upsample_index: Ints  # [V,12] into the 431
    upsample_weight: Floats  # [V,12] rows sum to 1
    sparse_to_coarse: Floats  # [431,81] rows sum to 1

    def dense(self, coarse: Floats) -> Floats:
        """Coarse vertices [431,C] -> all vertices [V,C]."""
        return np.asarray(np.einsum("vk,vkc->vc", self.upsample_weight, coarse[self.upsample_index]))

    def points(self, body: BodyModel) -> BodyPoints:
        """The 17 joints, then the 431 vertices: 448 points, of which the first 81 are the sparse ones."""
        return points_of(body, JOINT_IDS, self.vertex_ids)


def sparse_points(body: BodyModel, mesh: CoarseMesh) -> BodyPoints:
    """The 81 sparse points of `body`."""
    return points_of(body, JOINT_IDS, mesh.vertex_ids[:NUM_MARKERS])


def coarse_of(body: BodyModel) -> CoarseMesh:
    """The coarse mesh that ships with the open body."""
    mesh = load_coarse(asset("open_coarse.npz"))
    if int(mesh.vertex_ids.max()) >= len(body.v_template):
        raise AssetError(
            f"body {body.name} has {len(body.v_template)} vertices, the coarse mesh belongs to another body"
        )
    return mesh


def point_pairs(mesh: CoarseMesh) -> Ints:
    """[448] index of each point's partner on the other side."""
    names = {name: i for i, name in enumerate(SPARSE_JOINTS)}
    swap = {"left": "right", "right": "left"}
    joints = [names[swap[n.split("_")[0]] + n[n.index("_") :]] if "_" in n else names[n] for n in SPARSE_JOINTS]
    return np.concatenate([joints, len(SPARSE_JOINTS) + mesh.mirrored])


def sparse_pairs(mesh: CoarseMesh) -> Ints:
    """[81] the same for the sparse points."""
    return point_pairs(mesh)[:NUM_SPARSE]


def coarse_faces(body: BodyModel, mesh: CoarseMesh) -> Ints:
    """Triangles [T,3] of the coarse vertices, outside as on the body: the dual of the geodesic cells."""
    _, _, nearest = dijkstra(_edge_graph(body), indices=mesh.vertex_ids, min_only=True, return_predecessors=True)
    row = np.zeros(len(body.v_template), np.int64)
    row[mesh.vertex_ids] = np.arange(len(mesh.vertex_ids))
    corners = row[nearest][body.faces]
    corners = corners[(corners != np.roll(corners, 1, axis=1)).all(1)]  # those where three cells meet
    first = corners.argmin(1)[:, None]
    return np.unique(np.take_along_axis(corners, (first + np.arange(3)) % 3, 1), axis=0)


def build_coarse(body: BodyModel, seed: int = 0) -> CoarseMesh:
    """Symmetric geodesic farthest points, Voronoi neighbours, ridge weights learned on random poses and shapes."""
    graph = _edge_graph(body)
    twin = _twins(body)
    ids, mirrored = _farthest_points(graph, body, twin)
    distances = dijkstra(graph, indices=ids)  # [431,V]
    index = np.argsort(distances, axis=0, kind="stable")[:_NEIGHBOURS].T
    samples = _random_bodies(body, ids, seed)
    coarse = samples[1][:, len(JOINT_IDS) :]
    weight = _local_weights(samples[0], coarse, index)
    return CoarseMesh(ids, mirrored, _voronoi_neighbours(graph, distances), index, weight,
                      _dense_weights(coarse, samples[1][:, :NUM_SPARSE]))  # fmt: skip


def save_coarse(mesh: CoarseMesh, path: Path) -> None:
    """Write the choice as small arrays."""
    save_arrays(
        path,
        vertex_ids=mesh.vertex_ids.astype(np.uint16), mirrored=mesh.mirrored.astype(np.uint16),
        neighbours=np.packbits(mesh.adjacency > 0), upsample_index=mesh.upsample_index.astype(np.uint16),
        upsample_weight=mesh.upsample_weight.astype(np.float16),
        sparse_to_coarse=mesh.sparse_to_coarse.astype(np.float32),
    )  # fmt: skip


def load_coarse(path: Path) -> CoarseMesh:
    """Inverse of `save_coarse`, up to rounding."""
    try:
        with np.load(path, allow_pickle=False) as f:
            a = {k: f[k] for k in f.files}
    except (OSError, ValueError) as error:
        raise AssetError(f"cannot read {path}: {error}; reinstall hmr_ros") from error
    n = NUM_VERTICES
    neighbours = np.unpackbits(a["neighbours"], count=n * n).reshape(n, n).astype(np.float64)
    weight, sparse = a["upsample_weight"].astype(np.float64), a["sparse_to_coarse"].astype(np.float64)
    return CoarseMesh(
        a["vertex_ids"].astype(np.int64), a["mirrored"].astype(np.int64), _normalised(neighbours),
        a["upsample_index"].astype(np.int64), _normalised(weight), _normalised(sparse),
    )  # fmt: skip


def _edge_graph(body: BodyModel) -> coo_matrix:
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    lengths = np.linalg.norm(body.v_template[edges[:, 0]] - body.v_template[edges[:, 1]], axis=1)
    V = len(body.v_template)
    return coo_matrix((np.r_[lengths, lengths], (np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]])),
                      shape=(V, V)).tocsr()  # fmt: skip


def _twins(body: BodyModel) -> Ints:
    """Nearest vertex [V] to each vertex's mirror image."""
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(body.v_template).query(body.v_template * [-1.0, 1.0, 1.0])[1], np.int64)


def _farthest_points(graph: coo_matrix, body: BodyModel, twin: Ints) -> tuple[Ints, Ints]:
    """431 vertices, each followed by its twin, and the index of every one's twin; the first 64 are symmetric too."""
    middle = np.abs(body.v_template[:, 0]) < _MIDLINE_M
    first = int(np.argmax(np.where(middle, body.v_template[:, 1], -np.inf)))  # top of the head
    ids, mirrored, nearest = [first], [0], dijkstra(graph, indices=first)
    while len(ids) < NUM_VERTICES:
        # a pair must not straddle the end of the markers or of the list
        alone = len(ids) in (NUM_MARKERS - 1, NUM_VERTICES - 1)
        far = np.where(np.isfinite(nearest), nearest, 1e9)
        v = int(np.argmax(np.where(middle, far, -1.0) if alone else far))
        n, other = len(ids), int(twin[v])
        if alone or middle[v] or other == v or nearest[other] == 0:
            new, partners = [v], [n]
        else:
            new, partners = [v, other], [n + 1, n]
        ids, mirrored = ids + new, mirrored + partners
        for vertex in new:
            nearest = np.minimum(nearest, dijkstra(graph, indices=vertex))
    return np.array(ids), np.array(mirrored)


def _voronoi_neighbours(graph: coo_matrix, distances: Floats) -> Floats:
    """Row-normalised adjacency of the geodesic cells: two cells are neighbours where a mesh edge joins them."""
    cell = distances.argmin(0)
    edges = graph.tocoo()
    adjacency = np.eye(len(distances))
    adjacency[cell[edges.row], cell[edges.col]] = 1.0
    return _normalised(adjacency)


def _random_bodies(body: BodyModel, ids: Ints, seed: int) -> tuple[Floats, Floats]:
    """All vertices [S,V,3] and the 448 points [S,448,3] of random poses and shapes."""
    from hmr_ros.geometry.rotations import matrix_from_axis_angle

    rng = np.random.default_rng(seed)
    every = points_of(body, np.array([], np.int64), np.arange(len(body.v_template)))
    some = points_of(body, JOINT_IDS, ids)
    vertices, points = [], []
    for _ in range(_POSES):
        pose = rng.normal(0, 0.35, (24, 3))
        pose[[SMPL[n] for n in ("spine1", "spine2", "spine3", "left_collar", "right_collar")]] *= 0.4
        rotations, betas = matrix_from_axis_angle(pose), rng.normal(0, 1, 10)
        vertices.append(every.posed(rotations, betas))
        points.append(some.posed(rotations, betas))
    return np.array(vertices), np.array(points)


def _local_weights(vertices: Floats, coarse: Floats, index: Ints) -> Floats:
    """[V,K] weights that sum to 1 and give each vertex from its K coarse neighbours in least squares."""
    V, K = index.shape
    weights = np.empty((V, K))
    for start in range(0, V, 1000):
        rows = slice(start, start + 1000)
        # sum to one: solve for the differences to the first neighbour
        base = coarse[:, index[rows, 0]]
        A = coarse[:, index[rows, 1:]] - base[:, :, None]  # [S,v,K-1,3]
        b = vertices[:, rows] - base
        normal = np.einsum("svkc,svlc->vkl", A, A) / len(A) + _RIDGE * np.eye(K - 1)
        w = np.linalg.solve(normal, np.einsum("svkc,svc->vk", A, b)[..., None] / len(A))[..., 0]
        weights[rows] = np.c_[1 - w.sum(1), w]
    return weights


def _dense_weights(coarse: Floats, sparse: Floats) -> Floats:
    """[431,81] ridge weights that sum to 1."""
    # differences to the pelvis make the sum free, and the pelvis takes what is missing to 1
    A = (sparse[:, 1:] - sparse[:, :1]).transpose(0, 2, 1).reshape(-1, NUM_SPARSE - 1)
    b = (coarse - sparse[:, :1]).transpose(0, 2, 1).reshape(-1, NUM_VERTICES)
    w = np.linalg.solve(A.T @ A / len(A) + _RIDGE_SPARSE**2 * np.eye(A.shape[1]), A.T @ b / len(A)).T
    return np.c_[1 - w.sum(1), w]


def _normalised(rows: Floats) -> Floats:
    return np.asarray(rows / rows.sum(1, keepdims=True))
