"""Clothes tell people apart, and the light does not."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.perception.appearance import colours, unlike
from hmr_ros.types import Keypoints, Roi


def somebody(shirt, trousers, confidence=1.0):
    """A figure of two colours in a grey image, and its landmarks."""
    image = np.full((200, 100, 3), 128, np.uint8)
    image[50:100, 30:70], image[100:180, 30:70] = shirt, trousers
    points = np.zeros((33, 3))
    places = {"shoulder": 52, "hip": 98, "knee": 140}
    for joint, y in places.items():
        points[BLAZEPOSE[f"left_{joint}"]] = [66, y, confidence]
        points[BLAZEPOSE[f"right_{joint}"]] = [34, y, confidence]
    return image, Keypoints(points, np.zeros((33, 3)), 1.0, Roi(np.array([50.0, 100.0]), 150.0, 0.0))


def test_the_same_clothes_are_alike_in_any_light():
    image, seen = somebody((200, 60, 40), (40, 40, 60))
    darker = (0.8 * image).astype(np.uint8)
    assert unlike(colours(image, seen), colours(image, seen)) == 0
    assert unlike(colours(image, seen), colours(darker, seen)) < 0.4


@pytest.mark.parametrize("other", [((40, 60, 200), (40, 40, 60)), ((200, 60, 40), (60, 200, 200))])
def test_another_shirt_or_other_trousers_are_another_person(other):
    assert unlike(colours(*somebody((200, 60, 40), (40, 40, 60))), colours(*somebody(*other))) > 0.75


def test_what_is_not_seen_says_nothing():
    image, seen = somebody((200, 60, 40), (40, 40, 60), confidence=0.2)
    assert np.isnan(colours(image, seen)).all()
    assert unlike(colours(image, seen), colours(*somebody((0, 0, 255), (0, 255, 0)))) == 0.5


def test_landmarks_outside_the_image_are_left_out():
    image, seen = somebody((200, 60, 40), (40, 40, 60))
    whole = colours(image, seen)
    cut = colours(image[:, :50], seen)  # half of the trunk is out of sight
    np.testing.assert_allclose(cut[0], whole[0], atol=1)
    assert np.isnan(colours(image[:10], seen)).all()
