"""Cloth is cut where it should end, fits the body in every pose, and shadows and normals are those of geometry."""

import numpy as np
import pytest

from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.synth.outfit import random_outfit
from hmr_ros.synth.wardrobe import cut, vertex_normals, wardrobe_of


def areas(vertices, faces):
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def placed(vertices, pairs, share):
    return vertices[pairs[:, 0]] * (1 - share[:, None]) + vertices[pairs[:, 1]] * share[:, None]


def test_a_cut_and_its_rest_make_the_whole(open_body):
    v, field = open_body.v_template, open_body.v_template @ [0.3, 1.0, -0.2] - 0.1
    parts = [cut(open_body.faces, sign * field) for sign in (1, -1)]
    total = sum(areas(placed(v, pairs, share), faces) for pairs, share, faces in parts)
    assert total == pytest.approx(areas(v, open_body.faces))
    for sign, (pairs, share, faces) in zip((1, -1), parts, strict=True):
        edge = sign * placed(field[:, None], pairs, share)[:, 0]
        assert edge.min() > -1e-9 and (np.abs(edge) < 1e-9).sum() > 20  # it ends on the line
        assert faces.max() == len(pairs) - 1


def test_a_cut_keeps_the_outside_outside():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    for way in ([1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, -1]):
        field = (square[:, :2] - 0.5) @ way + 0.2
        pairs, share, found = cut(faces, field)
        corners = placed(square, pairs, share)[found]
        assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()


def test_nothing_and_everything_are_cuts_too(open_body):
    V = len(open_body.v_template)
    assert len(cut(open_body.faces, -np.ones(V))[2]) == 0
    pairs, share, faces = cut(open_body.faces, np.ones(V))
    assert (share == 0).all() and (pairs[:, 0][faces] == open_body.faces).all()


def test_normals_of_a_body_point_outwards(open_body):
    v = open_body.v_template
    normals = vertex_normals(v, open_body.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    head = v[:, 1] > 0.62
    assert (((v - v[head].mean(0)) * normals).sum(1)[head] > 0).mean() > 0.95


def test_skirt_and_hair_are_on_the_body_in_the_tpose(open_body):
    wardrobe = wardrobe_of(open_body)
    assert wardrobe_of(open_body) is wardrobe
    posed = wardrobe.posed(open_body.v_template, np.zeros(72), np.zeros(10), np.zeros(3))
    np.testing.assert_allclose(posed[: len(open_body.v_template)], open_body.v_template)
    origin = open_body.rest_joints(np.zeros(10))[0]
    np.testing.assert_allclose(posed - origin, wardrobe.rest, rtol=0.02, atol=0.005)


@pytest.mark.parametrize("seed", range(4))
def test_clothes_move_as_the_body_does(open_body, seed):
    """Turning and moving the whole body turns and moves all that it wears; the person's pose changes it."""
    rng = np.random.default_rng(seed)
    outfit = random_outfit(wardrobe_of(open_body), np.random.default_rng(seed))
    pose, betas, t = rng.normal(0, 0.2, 72), rng.normal(0, 1, 10), np.array([0.1, -0.2, 3.0])
    turn = matrix_from_axis_angle(np.array([0.3, 1.0, -0.5]))
    pelvis = open_body.rest_joints(betas)[0]
    turned = pose.copy()
    turned[:3] = axis_angle_from_matrix(turn @ matrix_from_axis_angle(pose[:3]))
    there = turn @ (pelvis + t) - pelvis
    a, na = outfit.posed(open_body.vertices(pose[:3], pose[3:], betas, t), pose, betas, t)
    b, nb = outfit.posed(open_body.vertices(turned[:3], turned[3:], betas, there), turned, betas, there)
    np.testing.assert_allclose(a @ turn.T, b, atol=1e-4)
    assert np.median(np.abs(na @ turn.T - nb)) < 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_what_is_worn_lies_near_the_body(open_body, seed):
    outfit = random_outfit(wardrobe_of(open_body), np.random.default_rng(seed))
    vertices, normals = outfit.posed(open_body.v_template, np.zeros(72), np.zeros(10), np.zeros(3))
    low, high = open_body.v_template.min(0) - 0.15, open_body.v_template.max(0) + 0.15
    assert np.isfinite(vertices).all() and np.isfinite(normals).all()
    assert (vertices > low).all() and (vertices < high).all()
    assert outfit.faces.max() < len(vertices) and outfit.material.max() < len(outfit.materials)
    assert {"skin", "cloth"} <= {m.kind for m in outfit.materials}
