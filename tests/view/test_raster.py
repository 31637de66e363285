"""The rasteriser fills the right pixels, hides what is behind, and survives odd views."""

import tracemalloc

import numpy as np
import pytest

from hmr_ros.body.loading import load_body
from hmr_ros.view import raster
from hmr_ros.view.overlay import draw_humans
from hmr_ros.view.raster import draw_mesh, fragments, mesh_depth, mesh_mask
from hmr_ros.view.skeleton import track_color

K = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
SQUARE = np.array([[-0.2, -0.2, 1], [0.2, -0.2, 1], [0.2, 0.2, 1], [-0.2, 0.2, 1]])
FACES = np.array([[0, 2, 1], [0, 3, 2]])  # towards the camera


def paint(vertices, faces, colors, K=K):
    return draw_mesh(np.zeros((100, 100, 3), np.uint8), vertices, faces, K, np.asarray(colors, float))


def test_a_square_covers_its_projection():
    mask = mesh_mask(SQUARE, FACES, K, 100, 100) > 0
    assert mask[31:69, 31:69].all() and abs(int(mask.sum()) - 1600) < 120


def test_faces_that_look_away_are_not_drawn():
    assert not paint(SQUARE, FACES[:, ::-1], np.full((2, 3), 255)).any()


def test_near_hides_far_in_any_order():
    far = SQUARE * [1, 1, 2]
    vertices = np.concatenate([SQUARE, far])
    for faces, colors in (
        (np.concatenate([FACES, FACES + 4]), [[0, 0, 255]] * 2 + [[255, 0, 0]] * 2),
        (np.concatenate([FACES + 4, FACES]), [[255, 0, 0]] * 2 + [[0, 0, 255]] * 2),
    ):
        assert paint(vertices, faces, colors)[50, 50].tolist() == [0, 0, 255]


def test_behind_the_camera_and_far_outside_draw_nothing():
    for shift in ([0, 0, -3], [50, 0, 0], [0, np.nan, 0]):
        assert not paint(SQUARE + shift, FACES, np.full((2, 3), 255)).any()


def test_a_full_camera_matrix_is_used():
    skewed = np.array([[120.0, 25, 40], [0, 80, 55], [0, 0, 1]])
    corners = (SQUARE @ skewed.T)[:, :2]
    rows, columns = np.nonzero(mesh_mask(SQUARE, FACES, skewed, 100, 100))
    low, high = corners.min(0), corners.max(0)
    np.testing.assert_allclose([columns.min(), columns.max()], [low[0], high[0]], atol=1.5)
    np.testing.assert_allclose([rows.min(), rows.max()], [low[1], high[1]], atol=1.5)


def test_a_part_outside_the_image_leaves_the_rest():
    square = SQUARE + np.array([0.4, 0, 0])
    whole = mesh_mask(square, FACES, K, 200, 100)
    np.testing.assert_array_equal(mesh_mask(square, FACES, K, 100, 100), whole[:, :100])


def test_faces_through_the_camera_are_left_out_alone():
    through = np.concatenate([SQUARE, SQUARE * [1, 1, -1]])
    faces = np.concatenate([FACES, [[0, 1, 4], [4, 5, 1]]])
    np.testing.assert_array_equal(mesh_mask(through, faces, K, 100, 100), mesh_mask(SQUARE, FACES, K, 100, 100))


def test_the_lit_side_is_brighter():
    white = np.full((2, 3), 200.0)
    blank = np.zeros((100, 100, 3), np.uint8)
    lit, grazed = (
        draw_mesh(blank.copy(), SQUARE, FACES, K, white, np.array(light))[50, 50, 0]
        for light in ([0, 0, -1], [1, 0, 0])
    )
    assert lit == 200 and grazed == 70


def test_depth_of_a_slanted_plane_is_exact():
    """Every pixel's ray meets the plane z = 1 + x / 2 where the geometry says."""
    slanted = SQUARE + np.stack([0 * SQUARE[:, 0], 0 * SQUARE[:, 0], SQUARE[:, 0] / 2], 1)
    depth = mesh_depth(slanted, FACES, K, 100, 100)
    rows, columns = np.nonzero(np.isfinite(depth))
    ray = (columns - 50) / 100
    np.testing.assert_allclose(depth[rows, columns], 1 / (1 - ray / 2), rtol=1e-9)
    assert abs(len(rows) - (mesh_mask(slanted, FACES, K, 100, 100) > 0).sum()) < 120


def test_depth_covers_the_mesh_without_gaps():
    depth = mesh_depth(SQUARE, FACES, K, 100, 100)
    inside = np.zeros((100, 100), bool)
    inside[30:71, 30:71] = True  # both faces meet on the diagonal
    np.testing.assert_array_equal(np.isfinite(depth), inside)
    np.testing.assert_allclose(depth[inside], 1)


def test_depth_of_the_nearest_counts_in_any_order():
    vertices = np.concatenate([SQUARE, SQUARE * [1, 1, 2], SQUARE * [1, 1, -1]])
    for faces in (np.concatenate([FACES, FACES + 4, FACES + 8]), np.concatenate([FACES + 4, FACES])):
        depth = mesh_depth(vertices, faces, K, 100, 100)
        assert depth[50, 50] == 1
    assert mesh_depth(vertices, FACES + 4, K, 100, 100)[50, 50] == 2


def test_crossing_planes_meet_where_they_are():
    """Where the painter's algorithm must choose one face, the z-buffer has the nearer at each pixel."""
    left, right = (SQUARE + np.outer(s * SQUARE[:, 0], [0, 0, 1]) for s in (0.5, -0.5))
    depth = mesh_depth(np.concatenate([left, right]), np.concatenate([FACES, FACES + 4]), K, 100, 100)
    assert depth[50, 40] < 1 and depth[50, 60] < 1 and abs(depth[50, 50] - 1) < 1e-9


def test_depth_of_a_mesh_partly_or_wholly_outside():
    square = SQUARE + np.array([0.4, 0, 0])
    whole = mesh_depth(square, FACES, K, 200, 100)
    np.testing.assert_array_equal(mesh_depth(square, FACES, K, 100, 100), whole[:, :100])
    for shift in ([0, 0, -3], [50, 0, 0], [0, np.nan, 0]):
        assert np.isnan(mesh_depth(SQUARE + shift, FACES, K, 100, 100)).all()


def test_fragments_are_the_nearest_faces_with_the_depth_of_the_z_buffer():
    left, right = (SQUARE + np.outer(s * SQUARE[:, 0], [0, 0, 1]) for s in (0.5, -0.5))
    vertices, faces = np.concatenate([left, right]), np.concatenate([FACES, FACES + 4])
    points = vertices @ K.T
    px = (points[:, :2] / points[:, 2:]).astype(np.float32)
    pixel, face, weights, near = fragments(px, 1 / vertices[:, 2], faces, 100, 100)
    depth = np.full(100 * 100, np.nan)
    depth[pixel] = 1 / near
    expected = mesh_depth(vertices, faces, K, 100, 100)
    np.testing.assert_allclose(depth.reshape(100, 100), expected, rtol=1e-4)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    rows, columns = np.divmod(pixel, 100)
    where = (weights[..., None] * px[faces[face]]).sum(1)
    np.testing.assert_allclose(where, np.stack([columns, rows], 1), atol=1e-2)
    assert (face[columns < 45] < 2).all() and (face[columns > 55] >= 2).all()  # of two crossing planes, the nearer


@pytest.mark.parametrize("at_once", [1, 500, 7000])
def test_fragments_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch, at_once):
    """To the bit; faces of equal distance too, of which the last counts."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-20, 120, (60, 2)).astype(np.float32)
    near, faces = rng.uniform(0.5, 1, 60), rng.integers(0, 60, (40, 3))
    faces = np.concatenate([faces, faces[::3]])
    whole = fragments(points, near, faces, 100, 90)
    monkeypatch.setattr(raster, "_AT_ONCE", at_once)
    for before, after in zip(whole, fragments(points, near, faces, 100, 90), strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(np.unique(whole[1])) > 15 and (whole[1] < 40).any() and (whole[1] >= 40).any()


def test_many_large_faces_take_no_more_memory_than_few():
    """A close body has thousands of faces that each fill much of the image."""
    corners = np.array([[0, 0], [255, 0], [0, 255]], np.float32)
    peaks = []
    for count in (2, 80):
        points, near = np.tile(corners, (count, 1)), np.repeat(np.linspace(1, 2, count), 3)
        tracemalloc.start()
        _, face, _, _ = fragments(points, near, np.arange(3 * count).reshape(-1, 3), 256, 256)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (face == count - 1).all() and len(face) == 256 * 257 / 2
    assert peaks[1] < 3 * peaks[0]


def test_overlay_covers_the_person_and_leaves_the_rest(human):
    image = np.full((480, 640, 3), 90, np.uint8)
    drawn = draw_humans(image, [human], load_body())
    x, y = human.joints_2d[6].astype(int)
    assert (drawn[y - 3 : y + 4, x - 3 : x + 4] != 90).any() and (drawn[470:, 600:] == 90).all()
    assert (image == 90).all()


def test_overlay_survives_nan(human):
    human.joints[0] = np.nan
    image = np.zeros((48, 64, 3), np.uint8)
    assert not draw_humans(image, [human], load_body()).any()


def test_neighbouring_ids_have_different_colours():
    colors = np.array([track_color(i) for i in range(6)])
    assert min(np.linalg.norm(a - b) for i, a in enumerate(colors) for b in colors[:i]) > 30
