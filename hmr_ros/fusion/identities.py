"""Who is who: people of all cameras in one moment, and over time under ids of the common frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.body.axes import between_hips
from hmr_ros.fusion.sighting import LEAST, Likeness, Sighting, likeness
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.perception.pelvis import PelvisFilter
from hmr_ros.types import Floats, Human, TrackingState

# of Likeness.place: chi-squared with three degrees of freedom exceeds 16 once in a thousand, and cameras are never
# calibrated quite as well as they are said to be
_SAME = 25.0  # two sightings of one person
_APART = 50.0  # from here on two sightings that were taken for one person are two
_KNOWN = 6.0  # what the identity that the camera itself gave counts among costs
_AGREE = 5  # moments in a row in which two people of different cameras look like one, until they are
_LIMB_SPEED = 1.0  # m/s: one standard deviation of a limb joint relative to the pelvis
_LONGEST_S = 0.5  # of that growth: people stay people
_FORBIDDEN = 1e6


class Person:
    """Somebody with an id of the common frame, followed over time."""

    def __init__(self, id: int, human: Human, views: Sequence[Rigid]) -> None:
        self.id = id
        self.tracks: dict[str, int] = {}  # camera -> the id that its node gives them
        self._filter = PelvisFilter(human, views)
        self._views = views

    @property
    def unseen_s(self) -> float:
        """Seconds since anybody saw them."""
        return self._filter.unseen_s

    def predict(self, seconds: float) -> None:
        """Move on in time."""
        self._filter.predict(seconds)

    def observe(self, human: Human, views: Sequence[Rigid]) -> None:
        """They were seen, by cameras at `views`."""
        self._filter.observe(human, views)
        self._views = views

    def now(self) -> Human:
        """As they were seen, or as they should be by now, with the motion of their hips."""
        human, state = self._filter.last, self._filter.state(self._views)
        shift = state.position - between_hips(human)
        return replace(human, joints=human.joints + shift, transl=human.transl + shift, pelvis=state)

    def likeness(self, s: Sighting) -> Likeness:
        """Of the sighting with where and how they should be by now."""
        state = self._filter.state(self._views)
        last = self._filter.last
        moved = (_LIMB_SPEED * min(self.unseen_s, _LONGEST_S)) ** 2 * np.eye(3)
        covariance = s.covariance + unpacked(last.joint_covariance) + LEAST + moved
        place = s.position_covariance + state.pose_covariance[:3, :3]
        return likeness((s.placed, self.now()), place, covariance)


@dataclass
class Group:
    """The sightings of one person in one moment."""

    person: Person | None  # None: nobody who is known yet
    sightings: list[Sighting] = field(default_factory=list)


class Identities:
    """Assignment camera by camera to the people who are known (Hungarian method), then of the rest to each other."""

    def __init__(self, keep_s: float) -> None:
        """People whom no camera sees are known for `keep_s` seconds more."""
        self._keep_s = keep_s
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self.people: list[Person] = []
        self._alike: dict[tuple[int, int], int] = {}  # ids -> moments in a row

    def __call__(self, sightings: Sequence[Sighting], seconds: float) -> tuple[list[Group], list[Person]]:
        """Groups of the sightings of one moment, `seconds` after the last one, and the people who are out of sight but
        expected to be there. The caller makes one person of each group, and tells who it is with `observed`."""
        for person in self.people:
            person.predict(seconds)
        self.people = [p for p in self.people if p.unseen_s <= self._keep_s]
        groups = {p.id: Group(p) for p in self.people}
        left: list[Sighting] = []
        for seen in _by_camera([s for s in sightings if s.is_seen]):
            for s, k in zip(seen, _assigned([[_cost(p, s) for p in self.people] for s in seen]), strict=True):
                (left if k is None else groups[self.people[k].id].sightings).append(s)
        for group in groups.values():
            left += _split(group)
        found = self._merged([g for g in groups.values() if g.sightings] + _grouped(left))
        # who is only expected somewhere takes nobody's place
        searched = {(s.camera, s.human.track_id) for s in sightings if not s.is_seen}
        taken = {g.person.id for g in found if g.person is not None}
        return found, [p for p in self.people if p.id not in taken and searched & set(p.tracks.items())]

    def observed(self, group: Group, human: Human) -> tuple[Person, bool]:
        """The group's sightings together look like `human`. Who that is, and whether they are somebody new."""
        person, views = group.person, tuple(s.pose for s in group.sightings)
        new = person is None
        if person is None:
            person = Person(self._next_id, human, views)
            self.people.append(person)
            self._next_id += 1
        else:
            person.observe(human, views)
        for s in group.sightings:
            for other in self.people:
                if other.tracks.get(s.camera) == s.human.track_id:
                    del other.tracks[s.camera]
            person.tracks[s.camera] = s.human.track_id
        return person, new

    def _merged(self, groups: list[Group]) -> list[Group]:
        """People of different cameras who look like one for several moments are one, under the older id."""
        alike: dict[tuple[int, int], int] = {}
        gone: list[Group] = []
        for a, b in combinations([g for g in groups if g.person is not None], 2):
            assert a.person is not None and b.person is not None
            if a in gone or b in gone or {s.camera for s in a.sightings} & {s.camera for s in b.sightings}:
                continue
            if max(_between(s, t).place for s in a.sightings for t in b.sightings) > _SAME:
                continue
            pair = a.person.id, b.person.id
            alike[pair] = self._alike.get(pair, 0) + 1
            if alike[pair] >= _AGREE:  # people stand in the order of their ids
                a.sightings += b.sightings
                self.people.remove(b.person)
                gone.append(b)
        self._alike = alike
        return [g for g in groups if g not in gone]


def _by_camera(sightings: list[Sighting]) -> list[list[Sighting]]:
    return [[s for s in sightings if s.camera == c] for c in dict.fromkeys(s.camera for s in sightings)]


def _cost(person: Person, s: Sighting) -> float:
    found = person.likeness(s)
    # an id that a camera has just found again is its guess
    known = person.tracks.get(s.camera) == s.human.track_id and s.human.state == TrackingState.TRACKED
    if found.place > (_APART if known else _SAME):
        return _FORBIDDEN
    return found.cost - _KNOWN * known


def _between(a: Sighting, b: Sighting) -> Likeness:
    place = a.position_covariance + b.position_covariance
    return likeness((a.placed, b.placed), place, a.covariance + b.covariance)


def _assigned(costs: list[list[float]]) -> list[int | None]:
    """For each row its column, None where it has none that is allowed."""
    chosen: list[int | None] = [None] * len(costs)
    if costs and costs[0]:
        matrix: Floats = np.array(costs)
        for row, column in zip(*linear_sum_assignment(matrix), strict=True):
            if matrix[row, column] < _FORBIDDEN:
                chosen[int(row)] = int(column)
    return chosen


def _split(group: Group) -> list[Sighting]:
    """Take out the sightings that contradict another one of the group, those that fit the person worst first."""
    person, out = group.person, []
    assert person is not None
    while len(group.sightings) > 1:
        pairs = [(a, b) for a, b in combinations(group.sightings, 2) if _between(a, b).place > _APART]
        if not pairs:
            break
        worst = max((s for pair in pairs for s in pair), key=lambda s: person.likeness(s).cost)
        group.sightings = [s for s in group.sightings if s is not worst]
        out.append(worst)
    return out


def _grouped(sightings: list[Sighting]) -> list[Group]:
    """Sightings of nobody known, those of different cameras put together where they agree."""
    groups: list[Group] = []
    for seen in _by_camera(sightings):
        for s, k in zip(seen, _assigned([[_worst(s, g) for g in groups] for s in seen]), strict=True):
            if k is None:
                groups.append(Group(None, [s]))
            else:
                groups[k].sightings.append(s)
    return groups


def _worst(s: Sighting, group: Group) -> float:
    found = max((_between(s, other) for other in group.sightings), key=lambda found: found.cost)
    return found.cost if found.place <= _SAME else _FORBIDDEN
