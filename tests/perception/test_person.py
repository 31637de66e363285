"""What the tracker knows of one person: its states from answer to answer."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.perception.person import Person
from hmr_ros.types import Keypoints, Roi, TrackingState

NEW, TRACKED, RECOVERED, _ = TrackingState
DT_S = 1 / 30


@pytest.fixture
def keypoints():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(100, 300, (33, 2)), np.ones(33)]
    return Keypoints(points, rng.normal(0, 0.3, (33, 3)), 1.0, Roi(np.array([200.0, 200.0]), 250.0, 0.0))


def answers(person, keypoints, seen):
    """States that are answered; `seen` in each frame: "" not at all, "follow" before the answer, "search" after it."""
    states = []
    for how in seen:
        person.advance(DT_S)
        if how == "follow":
            person.observe(replace(keypoints))
        if person.seen is not None:
            states.append(person.track(640, 480).state)
        if how == "search":
            person.observe(replace(keypoints))
    return states


def test_who_is_found_again_is_answered_so_once(keypoints):
    """Also where the search found them, behind the answer of its frame."""
    for found in ("follow", "search"):
        person = Person(0, keypoints)
        assert person.track(640, 480).state is NEW
        states = answers(person, keypoints, ["follow", "follow", "", "", found, "follow", "follow"])
        assert states == [TRACKED, TRACKED, RECOVERED, TRACKED, TRACKED][: len(states)]
        assert len(states) == (5 if found == "follow" else 4)


def test_who_is_found_and_lost_before_the_answer_is_still_to_be_answered(keypoints):
    person = Person(0, keypoints)
    person.track(640, 480)
    assert answers(person, keypoints, ["", "search", "", "", "follow", "follow"]) == [RECOVERED, TRACKED]


def test_whose_first_answer_is_due_is_new(keypoints):
    person = Person(0, keypoints)
    assert answers(person, keypoints, ["follow", "follow"]) == [NEW, TRACKED]
