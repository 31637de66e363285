"""People who left the image or were lost for good: they may come back, and get their id again if they look like
themselves."""

from __future__ import annotations

import numpy as np

from hmr_ros.perception.appearance import unlike
from hmr_ros.perception.likeness import roi_distance
from hmr_ros.perception.person import Person
from hmr_ros.types import Floats, Keypoints

_SAME_CLOTHES = 0.35  # unlikeness below which somebody may be the one who left
_MARGIN = 0.2  # by so much less unlike than any other who may be meant
_NEAR, _SPEED = 0.6, 0.9  # where somebody can be again: crop sides, and crop sides a second (a brisk walk)
_SIZE = np.log(2.0)  # of the crop: people come nearer and go away
_MOST = 32  # people who are remembered


class Absent:
    """The people who are remembered, who left last last."""

    def __init__(self) -> None:
        self._people: list[Person] = []

    def advance(self, dt_s: float, remember_s: float) -> None:
        """So much later; who is away for longer than `remember_s` is forgotten."""
        for person in self._people:
            person.unseen_s += dt_s
        self._people = [p for p in self._people if p.unseen_s <= remember_s]

    def add(self, person: Person) -> None:
        """Somebody left. Of whom no clothes were seen, nobody will know whether it is them."""
        if np.isfinite(person.colours[0]).all():
            self._people = [*self._people, person][-_MOST:]

    def back(self, keypoints: Keypoints, colours: Floats) -> Person | None:
        """Who of them this is, in clothes of these `colours` [2,3]: the only one who fits in clothes, place and size;
        they are absent no more. None where it is nobody, or may be several."""
        if not np.isfinite(colours[0]).all():
            return None
        fits = sorted(
            ((unlike(p.colours, colours), k) for k, p in enumerate(self._people) if _can_be(p, keypoints)),
        )
        if not fits or fits[0][0] > _SAME_CLOTHES:
            return None
        if len(fits) > 1 and fits[1][0] < fits[0][0] + _MARGIN:
            return None
        return self._people.pop(fits[0][1])


def _can_be(person: Person, keypoints: Keypoints) -> bool:
    """Whether the person can be there by now, and so large."""
    last, roi = person.last.next_roi, keypoints.next_roi
    near = roi_distance(last, roi) < _NEAR + _SPEED * person.unseen_s
    return near and abs(float(np.log(roi.size_px / last.size_px))) < _SIZE
