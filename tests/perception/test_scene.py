"""A new scene is told from a camera that moves, and from one that is covered."""

import cv2
import numpy as np
import pytest

from hmr_ros.io.video import open_source
from hmr_ros.perception.detector import Window
from hmr_ros.perception.scene import SceneMemory, StirWatch


def pattern(seed):
    """A few large patches of colour."""
    return cv2.resize(np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8), (320, 240))


@pytest.mark.parametrize("seed", range(5))
def test_another_pattern_is_another_scene_and_the_first_is_none(seed):
    memory = SceneMemory()
    assert [memory.changed(pattern(k)) for k in (seed, seed, seed + 10, seed + 10)] == [False, False, True, False]


def test_light_and_small_moves_change_nothing():
    memory, image = SceneMemory(), pattern(0)
    for k in range(1, 40):
        assert not memory.changed(np.roll(image, 3 * k, 1) // (1 + k % 3))


def test_a_covered_lens_is_no_scene():
    memory, image = SceneMemory(), pattern(1)
    shown = [image, np.full_like(image, 128), np.zeros_like(image), image]
    assert not any(memory.changed(s) for s in shown)


def test_another_size_is_another_scene():
    memory, image = SceneMemory(), pattern(2)
    assert not memory.changed(image) and memory.changed(image[:, :300])


def test_no_video_is_cut_and_photos_are_new(shared):
    for clip in ("footage/upper_body_indoor.mp4", "footage/street_crowd.mp4", "photos/pose_squats.mp4"):
        memory = SceneMemory()
        assert sum(memory.changed(f.image) for f in open_source(str(shared / clip), None)) == 0
    memory = SceneMemory()
    photos = sorted((shared / "photos").glob("*.jpg"))
    assert sum(memory.changed(cv2.imread(str(f))) for f in photos) == len(photos) - 2  # two of one room


def room(x, noise=0):
    """A box of 40 by 120 px at x in a flat image, and the noise of a camera."""
    image = np.full((240, 320, 3), 90, np.uint8)
    image[60:180, max(x, 0) : max(x + 40, 0)] = 200
    shaken = image + np.random.default_rng(noise).normal(0, 6, image.shape)
    return np.clip(shaken, 0, 255).astype(np.uint8)


def test_who_walks_stirs_and_who_is_known_does_not():
    for known, expected in (([], True), ([np.array([80.0, 40.0, 260.0, 200.0])], False)):
        watch = StirWatch()
        points = [watch.stirs(room(100 + 6 * k, k), known) for k in range(10)]
        assert (len(points[-1]) > 0) is expected and len(points[0]) == 0
    assert len(points[-1]) == 0


def test_noise_does_not_stir():
    watch = StirWatch()
    assert not any(len(watch.stirs(room(100, k), [])) for k in range(30))


def test_what_stirred_is_remembered_until_it_was_searched_there():
    watch = StirWatch()
    for k in range(10):
        watch.stirs(room(100 + 6 * k, k), [])
    for k in range(10):
        assert len(watch.stirs(room(154, k), []))
    watch.searched(Window(200, 0, 100))
    left = watch.stirs(room(154), [])
    assert len(left) and (left[:, 0] < 200).all()
    watch.searched(Window(0, -40, 320))
    assert len(watch.stirs(room(154), [])) == 0
