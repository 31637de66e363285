"""The coarse mesh: symmetric, connected, and close to the surface it stands for."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from hmr_ros.body.coarse import (
    JOINT_IDS,
    NUM_MARKERS,
    NUM_SPARSE,
    NUM_VERTICES,
    build_coarse,
    coarse_faces,
    coarse_of,
    load_coarse,
    point_pairs,
    save_coarse,
    sparse_pairs,
)
from hmr_ros.body.model import pose_matrices
from hmr_ros.body.points import points_of
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset


@pytest.fixture(scope="module")
def mesh(open_body):
    return coarse_of(open_body)


def test_counts(mesh, open_body):
    assert len(set(mesh.vertex_ids.tolist())) == NUM_VERTICES == 431
    assert len(JOINT_IDS) + NUM_MARKERS == NUM_SPARSE == 81
    assert len(mesh.points(open_body)) == 448


def test_weights_sum_to_one(mesh):
    for rows in (mesh.upsample_weight, mesh.sparse_to_coarse, mesh.adjacency):
        np.testing.assert_allclose(rows.sum(1), 1.0, atol=1e-6)


def test_neighbours_are_mutual_and_connected(mesh):
    linked = mesh.adjacency > 0
    assert (linked == linked.T).all()
    assert linked.diagonal().all()
    assert connected_components(linked)[0] == 1


def test_pairs_lie_on_opposite_sides(mesh, open_body):
    pairs = sparse_pairs(mesh)
    np.testing.assert_array_equal(pairs[pairs], np.arange(NUM_SPARSE))
    at = points_of(open_body, JOINT_IDS, mesh.vertex_ids[:NUM_MARKERS]).template
    np.testing.assert_allclose(at[pairs] * [-1, 1, 1], at, atol=0.03)


def test_dense_mesh_from_the_coarse_one(mesh, open_body):
    rng = np.random.default_rng(11)
    errors, sparse_errors = [], []
    for _ in range(10):
        pose, betas = rng.normal(0, 0.35, (24, 3)), rng.normal(0, 1, 10)
        pose[[3, 6, 9, 13, 14]] *= 0.4
        whole = open_body.vertices(pose[0], pose[1:].reshape(-1), betas, np.zeros(3))
        coarse = whole[mesh.vertex_ids]
        errors.append(np.linalg.norm(mesh.dense(coarse) - whole, axis=1).mean())
        points = mesh.points(open_body).posed(pose_matrices(pose[0], pose[1:].reshape(-1)), betas)
        sparse_errors.append(np.linalg.norm(mesh.sparse_to_coarse @ points[:NUM_SPARSE] - coarse, axis=1).mean())
    assert np.mean(errors) < 0.001
    assert np.mean(sparse_errors) < 0.012


def test_the_shipped_choice_is_what_the_builder_gives(mesh, open_body):
    built = build_coarse(open_body)
    np.testing.assert_array_equal(built.vertex_ids, mesh.vertex_ids)
    np.testing.assert_allclose(built.sparse_to_coarse, mesh.sparse_to_coarse, atol=1e-4)


def test_file_round_trip(mesh, tmp_path):
    save_coarse(mesh, tmp_path / "mesh.npz")
    with np.load(tmp_path / "mesh.npz") as ours, np.load(asset("open_coarse.npz")) as shipped:
        assert ours.files == shipped.files
    again = load_coarse(tmp_path / "mesh.npz")
    np.testing.assert_array_equal(again.upsample_index, mesh.upsample_index)
    np.testing.assert_allclose(again.adjacency, mesh.adjacency)


def test_a_missing_file_names_the_cure(tmp_path):
    with pytest.raises(AssetError, match="reinstall"):
        load_coarse(tmp_path / "none.npz")


def test_coarse_triangles_close_the_body(open_body):
    """Every edge is walked once in each direction, and the outsides face outwards."""
    mesh = coarse_of(open_body)
    faces, points = coarse_faces(open_body, mesh), mesh.points(open_body).template[len(JOINT_IDS) :]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert sorted(edges.tolist()) == sorted(edges[:, ::-1].tolist())
    volumes = [
        np.einsum("fa,fa->", v[:, 0], np.cross(v[:, 1], v[:, 2])) / 6
        for v in (points[faces], open_body.v_template[open_body.faces])
    ]
    assert 0.75 < volumes[0] / volumes[1] < 1.05
    pairs = point_pairs(mesh)
    np.testing.assert_array_equal(pairs[pairs], np.arange(len(pairs)))
