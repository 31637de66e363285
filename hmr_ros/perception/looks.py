"""What was seen where people were expected, and whose bodies these are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from hmr_ros.perception.likeness import covers, same_body
from hmr_ros.perception.person import Person
from hmr_ros.types import Floats, Frame, Keypoints

ESTABLISHED = 10  # frames after which an identity is as good as an older one
SURPRISE = 0.1  # by so much an older identity may fit worse before it loses a body to a younger one


@dataclass(frozen=True)
class Look:
    """What was seen where somebody was expected."""

    person: Person
    keypoints: Keypoints
    colours: Floats
    beside: bool  # somebody else is known to be near


def owns(rival: Person, person: Person, look: Look) -> bool:
    """Whether the body that was seen where `person` is expected is the rival's."""
    surprise = [p.surprise(look.keypoints, look.colours) for p in (rival, person)]
    return surprise[0] + SURPRISE < surprise[1]


def settled(looks: list[Look], frame: Frame) -> list[Look]:
    """Looks that fell on different bodies: of two on one body that remains whose person was expected there."""
    left = [k for k in looks if not k.person.is_other(k.colours) or (k.person.was_seen and not k.beside)]
    for a, b in combinations(looks, 2):
        if not (a in left and b in left):
            continue
        older, younger = sorted((a, b), key=lambda k: k.person.track_id)
        if covers(older.keypoints, younger.keypoints, frame, near_only=True):
            left.remove(younger)
        elif covers(younger.keypoints, older.keypoints, frame, near_only=True):
            left.remove(older)
        elif same_body(a.keypoints, b.keypoints):
            left.remove(_loser(older, younger))
    return left


def _loser(older: Look, younger: Look) -> Look:
    """Who of two does not own the body that both looks show: who was out of sight, who is hardly known, or who is
    expected elsewhere, in another size or other clothes."""
    if older.person.was_seen != younger.person.was_seen:
        return younger if older.person.was_seen else older
    if min(older.person.age, younger.person.age) <= ESTABLISHED:
        return younger
    surprise = [k.person.surprise(k.keypoints, k.colours) for k in (older, younger)]
    return older if surprise[0] > surprise[1] + SURPRISE else younger
