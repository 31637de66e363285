"""Who comes back is known by clothes, place and size together, and where two fit by nothing."""

import numpy as np
import pytest

from hmr_ros.perception.absent import Absent
from hmr_ros.perception.person import Person
from hmr_ros.types import Keypoints, Roi

RED, BLUE = np.array([[20.0, 40.0, 20.0], [10.0, 0.0, 0.0]]), np.array([[20.0, 0.0, -40.0], [10.0, 0.0, 0.0]])
UNKNOWN = np.full((2, 3), np.nan)


def body(x=300.0, size=250.0):
    points = np.array([x, 240.0]) + 0.4 * size * (np.random.default_rng(0).random((33, 2)) - 0.5)
    return Keypoints(np.c_[points, np.ones(33)], np.zeros((33, 3)), 1.0, Roi(np.array([x, 240.0]), size, 0.0))


def away(*people, seconds=2.0):
    """People of these clothes who left, each at the same place."""
    absent = Absent()
    for k, clothes in enumerate(people):
        person = Person(k, body())
        person.wears(clothes)
        absent.add(person)
    absent.advance(seconds, remember_s=5.0)
    return absent


@pytest.mark.parametrize("clothes", [(RED, BLUE), (BLUE, RED)])
def test_clothes_say_who_it_is_and_nobody_comes_back_twice(clothes):
    absent = away(*clothes)
    assert absent.back(body(), RED).track_id == [c is RED for c in clothes].index(True)
    assert absent.back(body(), RED) is None


def test_in_other_clothes_or_in_unknown_ones_it_is_somebody_else():
    assert away(RED).back(body(), BLUE) is None
    assert away(RED).back(body(), UNKNOWN) is None and away(UNKNOWN).back(body(), RED) is None


def test_of_two_in_the_same_clothes_nobody_knows_which():
    assert away(RED, RED + 1.0).back(body(), RED) is None


def test_nobody_is_faster_than_people_are_nor_grows():
    assert away(RED, seconds=0.1).back(body(x=550.0), RED) is None
    assert away(RED, seconds=2.0).back(body(x=550.0), RED) is not None
    assert away(RED).back(body(size=600.0), RED) is None


def test_people_are_forgotten():
    absent = away(RED, seconds=4.0)
    absent.advance(1.5, remember_s=5.0)
    assert absent.back(body(), RED) is None
