"""Closest points on triangles, transfer between meshes, and regressors that find their joints again."""

import numpy as np

from hmr_ros.body.builder.reduce import barycentric_transfer, closest_on_triangles, euler_number, fit_joint_regressor

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 7, 5], [4, 6, 7], [0, 5, 1], [0, 4, 5], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


def test_the_closest_point_is_closer_than_any_other():
    rng = np.random.default_rng(0)
    points, corners = rng.normal(size=(40, 3)), rng.normal(size=(40, 3, 3))
    weights = closest_on_triangles(points, corners)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1.0)
    gap = np.linalg.norm(np.einsum("nt,ntc->nc", weights, corners) - points, axis=-1)
    others = rng.dirichlet(np.ones(3) * 0.5, (40, 4000))
    tried = np.linalg.norm(np.einsum("nkt,ntc->nkc", others, corners) - points[:, None], axis=-1).min(1)
    assert (gap <= tried + 1e-9).all()
    assert (tried - gap).max() < 0.1


def test_points_of_a_surface_are_carried_to_themselves():
    assert euler_number(FACES) == 2
    rng = np.random.default_rng(0)
    corners, inside = FACES[rng.integers(0, 12, 50)], rng.dirichlet(np.ones(3), 50)
    points = np.einsum("nt,ntc->nc", inside, CUBE[corners])
    ids, weights = barycentric_transfer(points, CUBE, np.concatenate([FACES] * 3))  # as many as are looked through
    np.testing.assert_allclose(np.einsum("nt,ntc->nc", weights, CUBE[ids]), points, atol=1e-9)


def test_a_regressor_finds_the_joints_of_shapes_that_it_was_fitted_to(open_body):
    betas = np.concatenate([np.zeros((1, 10)), np.eye(10)])
    shapes = open_body.v_template + np.einsum("vck,sk->svc", open_body.shapedirs, betas)
    joints = np.einsum("jv,svc->sjc", open_body.J_regressor, shapes)
    found = fit_joint_regressor(shapes, joints, open_body.weights, np.random.default_rng(0))
    np.testing.assert_allclose(found.sum(1), 1.0)
    assert np.linalg.norm(np.einsum("jv,svc->sjc", found, shapes) - joints, axis=-1).max() < 3e-3
