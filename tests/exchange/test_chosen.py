"""Whom a stream is about."""

import pytest
from poses import posed

from hmr_ros.exchange.chosen import ChosenPerson
from hmr_ros.types import TrackingState

SECOND = 10**9


@pytest.fixture
def people(person):
    near = person(posed(), pelvis=(2.0, 0.9, 0.0), track_id=5, box=(0, 0, 50, 100))
    wide = person(posed(), pelvis=(4.0, 0.9, 0.0), track_id=3, box=(0, 0, 200, 200))
    old = person(posed(), pelvis=(5.0, 0.9, 0.0), track_id=1, box=(0, 0, 20, 20))
    return {"nearest": near, "largest": wide, "first": old}


@pytest.mark.parametrize("criterion", ["nearest", "largest", "first"])
def test_each_criterion_has_its_person(people, criterion):
    assert ChosenPerson(criterion, 1.0)(0, list(people.values())) is people[criterion]


def test_the_chosen_one_stays_though_somebody_comes_nearer(people):
    choose = ChosenPerson("nearest", 1.0)
    assert choose(0, [people["largest"], people["first"]]) is people["largest"]
    assert choose(SECOND, list(people.values())) is people["largest"]


def test_another_is_chosen_when_the_first_was_away_for_longer_than_patience(people):
    choose = ChosenPerson("nearest", 1.0)
    choose(0, [people["nearest"]])
    assert choose(SECOND // 2, [people["largest"]]) is None
    assert choose(SECOND, [people["largest"]]) is None
    assert choose(SECOND + 1, [people["largest"]]) is people["largest"]
    assert choose(SECOND + 2, list(people.values())) is people["largest"]


def test_who_comes_back_in_time_is_still_the_one(people):
    choose = ChosenPerson("nearest", 1.0)
    choose(0, [people["first"]])
    assert choose(SECOND // 2, []) is None
    assert choose(3 * SECOND // 4, list(people.values())) is people["first"]


def test_who_is_out_of_sight_is_nobody(person):
    lost = person(posed(), state=TrackingState.SEARCHING)
    assert ChosenPerson("nearest", 1.0)(0, [lost]) is None
