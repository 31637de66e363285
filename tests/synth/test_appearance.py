"""The person is drawn where it stands; an appearance is drawn once and stays; faults of the camera do what they say."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hmr_ros.geometry.camera import project
from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.view.raster import mesh_mask


@pytest.fixture(scope="module")
def person(open_body, motion_file):
    rng = np.random.default_rng(3)
    return random_person(open_body, PoseSampler(load_recorded(motion_file), rng), rng, plain=True)


def without_faults(appearance):
    return replace(
        appearance, occluders=[], blur_px=0.0, contrast=1.0, brightness=0.0, noise=0.0, jpeg_quality=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def perfect(open_body, person):
    """No fault, nothing in the way, no clothes that stand off."""
    appearance = without_faults(
        random_appearance(open_body, person, np.random.default_rng(0), plain=True, look="painted")
    )
    return replace(appearance, figure=replace(appearance.figure, thickness_m=0.0))


@pytest.fixture(scope="module")
def dressed(open_body, person):
    appearance = without_faults(random_appearance(open_body, person, np.random.default_rng(0), plain=True))
    return replace(appearance, figure=replace(appearance.figure, floor_shadow=0.0))


def test_the_person_is_drawn_where_it_stands(open_body, person, perfect):
    image = rendered_image(open_body, person, perfect, np.random.default_rng(0))
    width, height = person.size
    assert image.shape == (height, width, 3)
    mask = mesh_mask(person.vertices, open_body.faces, person.K, width, height) > 0
    changed = (image != perfect.backdrop).any(-1)
    assert not (changed & ~mask).any()
    assert changed[mask].mean() > 0.98


def test_one_appearance_gives_one_image_but_for_the_noise(open_body, person, perfect):
    a, b = (rendered_image(open_body, person, perfect, np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(a, b)
    noisy = rendered_image(open_body, person, replace(perfect, noise=6.0), np.random.default_rng(0)).astype(float)
    middle = (a > 30) & (a < 225)  # where nothing is cut off
    assert (noisy - a)[middle].std() == pytest.approx(6.0, rel=0.1)


def test_faults_of_the_camera(open_body, person, perfect):
    def image(**faults):
        return rendered_image(open_body, person, replace(perfect, **faults), np.random.default_rng(0)).astype(float)

    sharp = image()
    assert image(brightness=20.0).mean() == pytest.approx(sharp.mean() + 20, abs=2)
    assert image(contrast=0.6).std() < 0.7 * sharp.std()
    assert np.abs(np.diff(image(blur_px=1.5), axis=1)).mean() < 0.7 * np.abs(np.diff(sharp, axis=1)).mean()
    assert 0 < np.abs(image(jpeg_quality=30) - sharp).mean() < 20


def test_a_dressed_person_covers_their_body_and_little_more(open_body, person, dressed):
    image = rendered_image(open_body, person, dressed, np.random.default_rng(0))
    width, height = person.size
    mask = mesh_mask(person.vertices, open_body.faces, person.K, width, height)
    changed = (image != dressed.backdrop).any(-1)
    assert changed[cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0].mean() > 0.98
    wide = int(np.ceil(0.2 * person.K[0, 0] / person.vertices[:, 2].min())) | 1  # skirts and hair stand off
    assert not (changed & ~(cv2.dilate(mask, np.ones((wide, wide), np.uint8)) > 0)).any()


def test_joints_lie_on_the_dressed_person(open_body, motion_file):
    """Truth and image belong together: whatever is worn, joints in view are inside of what was drawn."""
    rng = np.random.default_rng(1)
    sampler = PoseSampler(load_recorded(motion_file), rng)
    for _ in range(4):
        person = random_person(open_body, sampler, rng, plain=True)
        look = without_faults(random_appearance(open_body, person, rng, plain=True))
        look = replace(look, figure=replace(look.figure, floor_shadow=0.0))
        changed = (rendered_image(open_body, person, look, rng) != look.backdrop).any(-1)
        x, y = np.round(project(person.joints, person.K)).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < person.size[0]) & (y < person.size[1])
        assert changed[y[inside], x[inside]].mean() > 0.95


def test_one_seed_gives_one_dressed_image(open_body, person):
    def image(seed):
        rng = np.random.default_rng(seed)
        return rendered_image(open_body, person, random_appearance(open_body, person, rng, plain=True), rng)

    np.testing.assert_array_equal(image(5), image(5))
    assert (image(5) != image(6)).any()


def test_feet_darken_the_floor_under_them(open_body, person, dressed):
    def image(shadow):
        figure = replace(dressed.figure, floor_shadow=shadow)
        look = replace(dressed, figure=figure, backdrop=np.full_like(dressed.backdrop, 200))
        return rendered_image(open_body, person, look, np.random.default_rng(0)).astype(int)

    without, shadowed = image(0.0), image(1.0)
    assert (shadowed <= without).all() and (shadowed < without - 20).any()


@pytest.mark.parametrize("look", ["painted", "lifelike"])
def test_wild_appearances_differ(open_body, person, look):
    rng = np.random.default_rng(0)
    drawn = [random_appearance(open_body, person, rng, plain=False, look=look) for _ in range(60)]
    assert 5 < sum(bool(a.occluders) for a in drawn) < 35
    assert 10 < sum(a.blur_px > 0 for a in drawn) < 40
    assert len({a.backdrop.tobytes() for a in drawn}) == 60
