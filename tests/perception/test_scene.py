"""A new scene is told from a camera that moves, and from one that is covered."""

import cv2
import numpy as np
import pytest

from hmr_ros.io.video import open_source
from hmr_ros.perception.scene import SceneMemory


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
