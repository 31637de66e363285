"""The person is drawn where it stands; an appearance is drawn once and stays; faults of the camera do what they say."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.view.raster import mesh_mask


@pytest.fixture(scope="module")
def person(open_body, motion_file):
    rng = np.random.default_rng(3)
    return random_person(open_body, PoseSampler(load_recorded(motion_file), rng), rng, plain=True)


@pytest.fixture(scope="module")
def perfect(open_body, person):
    """No fault, nothing in the way, no clothes that stand off."""
    appearance = random_appearance(open_body, person, np.random.default_rng(0), plain=True)
    return replace(
        appearance, thickness_m=0.0, occluders=[], blur_px=0.0, contrast=1.0, brightness=0.0, noise=0.0,
        jpeg_quality=None,
    )  # fmt: skip


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


def test_wild_appearances_differ(open_body, person):
    rng = np.random.default_rng(0)
    drawn = [random_appearance(open_body, person, rng, plain=False) for _ in range(60)]
    assert 5 < sum(bool(a.occluders) for a in drawn) < 35
    assert 10 < sum(a.blur_px > 0 for a in drawn) < 40
    assert len({a.backdrop.tobytes() for a in drawn}) == 60
