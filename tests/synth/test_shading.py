"""Dressed people hide each other by depth, lamps light the side they are on, and shadows fall away from them."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.synth.fabric import TILE_PX, random_fabric
from hmr_ros.synth.face import random_face
from hmr_ros.synth.light import darken_floor, lamp_view, random_lamps
from hmr_ros.synth.outfit import random_outfit
from hmr_ros.synth.places import place
from hmr_ros.synth.shading import draw_dressed, dressed
from hmr_ros.synth.wardrobe import wardrobe_of

K = np.array([[220.0, 0, 80], [0, 220, 100], [0, 0, 1]])
UP = np.array([0.0, -1.0, 0.0])
FACING = np.r_[np.pi, 0, 0, np.zeros(69)]  # upright, towards a camera with y down
SIZE = (200, 160)
PLATE = np.array([[-0.5, -0.5, 2.0], [0.5, -0.5, 2.0], [0.5, 0.5, 2.0], [-0.5, 0.5, 2.0]])
PLATE_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def person(body, seed, depth, x=0.0):
    t = np.array([x, 0.1, depth])
    vertices = body.vertices(FACING[:3], FACING[3:], np.zeros(10), t)
    return dressed(random_outfit(wardrobe_of(body), np.random.default_rng(seed)), vertices, FACING, np.zeros(10), t)


def lamps(**other):
    return replace(random_lamps(UP, np.random.default_rng(0)), **other)


def draw(people, light):
    return draw_dressed(np.full((*SIZE, 3), 90, np.uint8), people, K, light)


def test_the_nearer_person_hides_the_other_in_any_order(open_body):
    near, far = person(open_body, 0, 2.0), person(open_body, 1, 3.0, 0.1)
    np.testing.assert_array_equal(draw([near, far], lamps()), draw([far, near], lamps()))
    alone = draw([near], lamps())
    both = draw([near, far], lamps())
    solid = (alone != 90).all(-1)
    assert (both[solid] == alone[solid]).mean() > 0.97  # but for edges, where both show


def test_somebody_behind_the_camera_is_not_drawn(open_body):
    assert (draw([person(open_body, 0, -3.0)], lamps()) == 90).all()


def test_the_lit_side_is_brighter(open_body):
    dark = np.zeros(3)
    left, right = (
        draw([person(open_body, 2, 2.5)], lamps(key=np.array([s, 0, 0]), key_color=np.ones(3), fill_color=dark))
        .astype(float).sum(-1)
        for s in (-1.0, 1.0)
    )  # fmt: skip
    gain = left - right
    columns = np.broadcast_to(np.arange(SIZE[1]), SIZE)
    lit = np.abs(gain) > 5
    assert gain[lit & (columns < 76)].mean() > 5 and gain[lit & (columns > 84)].mean() < -5


def test_a_plate_shades_what_is_behind_it_and_nothing_before_it():
    lamp = np.array([0.0, 0.0, -1.0])
    places = np.array([[0.0, 0, 2.5], [0.0, 0, 1.5], [0.9, 0, 2.5], [0.45, 0.45, 2.2]])
    np.testing.assert_array_equal(lamp_view(PLATE, PLATE_FACES, lamp).shadowed(places), [1, 0, 0, 1])


def test_the_shadow_on_the_floor_is_on_the_other_side_of_the_lamp(open_body):
    wardrobe = wardrobe_of(open_body)
    caster = person(open_body, 0, 3.0).caster
    for side in (-1.0, 1.0):
        key = np.array([side, -0.8, 0.0]) / np.hypot(1, 0.8)
        floor = np.full((200, 240, 3), 200, np.uint8)
        wide = np.array([[100.0, 0, 120], [0, 100, 60], [0, 0, 1]])
        seen = lamp_view(caster, wardrobe.caster_faces, key)
        darken_floor(floor, caster, seen, wide, lamps(key=key, shadow=1.0), 1.0)
        rows, columns = np.nonzero(floor[..., 0] < 150)
        assert len(rows) > 50 and (np.median(columns) - 120) * side < 0


@pytest.mark.parametrize("seed", range(8))
def test_a_place_is_that_of_its_seed(seed):
    def image_of(s):
        return place(96, 128, K, UP, -1.2, 3.0, np.random.default_rng(s))

    image = image_of(seed)
    assert image.shape == (128, 96, 3) and image.dtype == np.uint8 and image.std() > 3
    np.testing.assert_array_equal(image, image_of(seed))
    assert (image != image_of(seed + 100)).any()


def test_cloth_far_away_keeps_its_mean_colour():
    rng = np.random.default_rng(3)
    for _ in range(5):
        fabric = random_fabric(rng.uniform(60, 200, 3), rng, 0.0)
        grid = np.stack(np.meshgrid(*[np.arange(TILE_PX) * fabric.tile_m / TILE_PX] * 2), -1).reshape(-1, 2)
        near, far = (fabric.at(grid.astype(np.float32), px) for px in (1e5, 20.0))
        np.testing.assert_allclose(near.mean(0), far.mean(0), atol=4)
        assert far.std(0).max() <= near.std(0).max() + 1e-3


def test_faces_are_in_the_colours_of_their_person():
    skins = [np.array([120.0, 160, 205]), np.array([60.0, 80, 100])]
    light, dark = (random_face(skin, np.zeros(3), np.random.default_rng(1), False) for skin in skins)
    np.testing.assert_array_equal(light.cover, dark.cover)
    assert 0 < light.cover.max() <= 1 and light.color.min() >= 0 and light.color.max() <= 255
    assert (light.color >= dark.color - 1e-3).all() and light.color.mean() > dark.color.mean()
    bearded = random_face(skins[0], np.zeros(3), np.random.default_rng(1), True)
    chin = slice(-25, -10)
    assert bearded.color[chin].mean() < light.color[chin].mean()
