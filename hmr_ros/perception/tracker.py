"""Finds people and keeps their identities: the stage with memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.config import DetectorConfig, TrackerConfig
from hmr_ros.perception.appearance import colours
from hmr_ros.perception.crop_check import CropCheck
from hmr_ros.perception.detector import Finder, without_duplicates
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.perception.likeness import covers, overlap, roi_distance, same_body
from hmr_ros.perception.person import Person
from hmr_ros.perception.scene import SceneMemory
from hmr_ros.perception.search import Search
from hmr_ros.types import Detection, Floats, Frame, Keypoints, Roi, Track

_MAX_GAP_S = 5.0  # a longer jump in the stamps is another scene
_NEAR_TRACK = 0.2  # proposals whose hips are this near (in crop sides) to a tracked person's are that person
_REJECTED_FOR_S = 0.5  # a proposal that was no person is not checked again for this long
_STILL_THERE_S = 0.5  # for this long a person out of sight still explains what seems to be a part of them
_MAX_PUT_OFF = 10  # frames a search may be put off
_ESTABLISHED = 10  # frames after which an identity is as good as an older one
_SURPRISE = 0.1  # by so much an older identity may fit worse before it loses a body to a younger one
_NEAR_PEOPLE = 3  # who are followed in every frame, however late it is
_FLEETING = 3  # frames after which somebody who was lost is waited for
_CROWDED = 0.1  # share of a person's box in another's from which their clothes are not learned
_MIXED = 0.4  # the same, from which their place is less certain


@dataclass(frozen=True)
class _Look:
    """What was seen where somebody was expected."""

    person: Person
    keypoints: Keypoints
    colours: Floats


class PersonTracker:
    """image -> people with identities; landmarks are followed from frame to frame, the detector finds new people."""

    def __init__(self, detector: Finder, landmarker: Landmarker, config: TrackerConfig, search: DetectorConfig) -> None:
        self._detector, self._landmarker, self._config = detector, landmarker, config
        self._check = CropCheck(detector, landmarker)
        self._search_first = search.before_answer
        self._search = Search(search)
        self._scene = SceneMemory()
        self.adjust(config, search)
        self._next_id = 0
        self._frames, self._hurried = 0, False
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._people: list[Person] = []
        self._rejected: list[tuple[int, Detection]] = []
        self._stamp_ns: int | None = None
        self._put_off = 0  # frames since the last search, when images come faster than they can be answered
        self._search.reset()

    def restart(self) -> None:
        """Forget everybody, and begin with the first id."""
        self._next_id = 0
        self.reset()

    def hurry(self, late: bool) -> None:
        """Whether answers take longer than images come: then far people are followed in every other frame."""
        self._hurried = late

    def adjust(self, config: TrackerConfig, search: DetectorConfig) -> None:
        """Take scores, times and numbers that changed; networks and tiles stay."""
        self._config = config
        self._max_checks = search.max_checks_per_frame or 10**6
        self._search.scan_period_s = search.scan_period_s
        self._detector.min_score = search.min_score

    def step(self, frame: Frame) -> list[Track]:
        """People seen in `frame`, most certain first."""
        height, width = frame.image.shape[:2]
        if min(height, width) < 2:
            return []
        if self._search_first and self._scene.changed(frame.image):  # photos; a live camera shows one scene
            self.reset()
        self._advance(frame.stamp_ns)
        self._follow(frame)
        if self._search_first:
            self._look_for_people(frame)
        self._people = [p for p in self._people if not self._is_gone(p, frame)]
        seen = [p for p in self._people if p.seen is not None]
        seen.sort(key=lambda p: (-round(p.seen.score, 2) if p.seen else 0.0, p.track_id))
        return [p.track(width, height) for p in seen]

    def search(self, frame: Frame, defer: bool) -> bool:
        """Search `frame` for new and lost people, after its `step`; they are answered from the next frame on.

        With `defer` (the next image is due) it is put off, but not for ever, and not while nobody is tracked.
        Returns whether the search was made.
        """
        if self._search_first or min(frame.image.shape[:2]) < 2:
            return False
        everybody_lost = all(p.seen is None for p in self._people)
        if defer and not everybody_lost and self._put_off < _MAX_PUT_OFF:
            self._put_off += 1
            self._search.skip(frame.stamp_ns)
            return False
        self._put_off = 0
        self._look_for_people(frame)
        return True

    def _advance(self, stamp_ns: int) -> None:
        dt_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 <= dt_s <= _MAX_GAP_S:
            self.reset()
            dt_s = 0.0
        self._stamp_ns = stamp_ns
        for person in self._people:
            person.advance(dt_s)
        self._rejected = [(until, d) for until, d in self._rejected if until > stamp_ns]

    def _follow(self, frame: Frame) -> None:
        """Landmarks of everybody who was seen in the last frame, and a second look for one who was not."""
        looks, retried = [], False
        self._leave_out_far_people()
        for person in sorted(self._people, key=lambda p: p.unseen_s):
            if person.rests:
                continue
            if person.unseen_s > 0:
                if retried:
                    continue
                retried = True
            keypoints = self._landmarks(frame, person.expected_roi())
            if keypoints is not None and keypoints.score >= self._least_score(person):
                looks.append(_Look(person, keypoints, colours(frame.image, keypoints)))
        settled = _settled(looks, frame)
        for look in settled:
            others = [overlap(look.keypoints, o.keypoints, frame) for o in settled if o is not look]
            among = max(others, default=0.0)
            look.person.observe(look.keypoints, certain=among < _MIXED)
            if among < _CROWDED:
                look.person.wears(look.colours)

    def _leave_out_far_people(self) -> None:
        """In a hurry, each of the smaller people rests in every other frame."""
        self._frames += 1
        if not self._hurried:
            return
        followed = [p for p in self._people if p.was_seen and p.age > _ESTABLISHED]
        # in coarse steps, so that people of one size do not change places
        followed.sort(key=lambda p: (-round(4 * np.log2(p.last.next_roi.size_px)), p.track_id))
        for person in followed[_NEAR_PEOPLE:]:
            person.rests = (person.track_id + self._frames) % 2 == 0

    def _least_score(self, person: Person) -> float:
        return self._config.keep_landmark_score if person.answered else self._config.min_landmark_score

    def _landmarks(self, frame: Frame, roi: Roi) -> Keypoints | None:
        return looked(self._landmarker, frame.image, roi)

    def _look_for_people(self, frame: Frame) -> None:
        seen = [p for p in self._people if p.seen is not None]
        if len(seen) >= self._config.max_people:
            return
        proposals = [d for d in self._proposals(frame, idle=not seen) if not self._is_known(d)]
        checks = self._max_checks
        proposals, checks = self._recover(frame, proposals, checks)
        for proposal in proposals:
            if checks <= 0 or sum(p.seen is not None for p in self._people) >= self._config.max_people:
                break
            if self._is_known(proposal):  # by now: whoever was found before is proposed by several windows
                continue
            checks -= 1
            self._welcome(frame, proposal)

    def _proposals(self, frame: Frame, idle: bool) -> list[Detection]:
        """Who is proposed in this frame, those of the whole image before those of tiles: a tile shows a part of near
        people, and is asked for who is not seen as a whole. Then the large before the small, for the same reason."""
        height, width = frame.image.shape[:2]
        whole: list[Detection] = []
        parts: list[Detection] = []
        for window in self._search.windows(width, height, frame.stamp_ns, idle):
            proposed = whole if window.size_px >= max(width, height) else parts
            proposed += self._detector(frame.image, window)
        found = [sorted(without_duplicates(d), key=lambda d: -d.roi.size_px) for d in (whole, parts)]
        return found[0] + found[1]

    def _is_known(self, d: Detection) -> bool:
        for person in self._people:
            if person.here and roi_distance(d.roi, person.last.next_roi) < _NEAR_TRACK:
                return True
        return any(roi_distance(d.roi, old.roi) < _NEAR_TRACK / 2 for _, old in self._rejected)

    def _recover(self, frame: Frame, proposals: list[Detection], checks: int) -> tuple[list[Detection], int]:
        """Give lost people their id back where a proposal fits (optimal assignment); returns what is left."""
        lost = [p for p in self._people if not p.here]
        if not lost or not proposals:
            return proposals, checks
        cost = np.array([[p.mismatch(d.roi) for d in proposals] for p in lost])
        taken = set()
        for i, j in zip(*linear_sum_assignment(np.minimum(cost, 1e3)), strict=True):
            if cost[i, j] > 1.0 or checks <= 0:
                continue
            checks -= 1
            keypoints = self._confirmed(frame, proposals[j])
            taken.add(j)
            if keypoints is not None and not self._is_taken(keypoints):
                if lost[i].is_other(colours(frame.image, keypoints)):
                    taken.discard(j)  # perhaps somebody new
                else:
                    lost[i].observe(keypoints)
        return [d for j, d in enumerate(proposals) if j not in taken], checks

    def _is_taken(self, keypoints: Keypoints) -> bool:
        """Whether this body is somebody's who is seen."""
        return any(p.seen is not None and same_body(p.seen, keypoints) for p in self._people)

    def _welcome(self, frame: Frame, proposal: Detection) -> None:
        keypoints = self._confirmed(frame, proposal)
        if keypoints is None:
            return
        known = [p.last for p in self._people if p.unseen_s < _STILL_THERE_S]
        if any(covers(k, keypoints, frame) or same_body(k, keypoints) for k in known):
            self._reject(frame, proposal)
            return
        self._people.append(Person(self._next_id, keypoints))
        self._people[-1].wears(colours(frame.image, keypoints))
        self._next_id += 1

    def _confirmed(self, frame: Frame, proposal: Detection) -> Keypoints | None:
        """Landmarks of a proposal in the crop that they give themselves, or None for a false alarm."""
        keypoints = self._check(frame.image, proposal, thorough=self._search_first)
        if keypoints is None or keypoints.score < self._config.min_landmark_score:
            self._reject(frame, proposal)
            return None
        return keypoints

    def _reject(self, frame: Frame, proposal: Detection) -> None:
        """Remember a false alarm, where checks are few, so that it does not keep others from being checked."""
        if not self._search_first:
            self._rejected.append((frame.stamp_ns + int(_REJECTED_FOR_S * 1e9), proposal))

    def _is_gone(self, person: Person, frame: Frame) -> bool:
        if person.seen is None and person.age <= _FLEETING:
            return True
        if person.unseen_s > self._config.max_occlusion_s:
            return True
        height, width = frame.image.shape[:2]
        if person.seen is not None:
            return not np.any(person.seen.keypoints_2d[:, 2] > 0.1)
        roi = person.motion.roi
        margin = roi.size_px / 2
        x, y = roi.center_px
        return not (-margin < x < width + margin and -margin < y < height + margin)


def _settled(looks: list[_Look], frame: Frame) -> list[_Look]:
    """Looks that fell on different bodies: of two on one body that remains whose person was expected there."""
    left = [k for k in looks if k.person.was_seen or not k.person.is_other(k.colours)]
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


def _loser(older: _Look, younger: _Look) -> _Look:
    """Who of two does not own the body that both looks show: who was out of sight, who is hardly known, or who is
    expected elsewhere, in another size or other clothes."""
    if older.person.was_seen != younger.person.was_seen:
        return younger if older.person.was_seen else older
    if min(older.person.age, younger.person.age) <= _ESTABLISHED:
        return younger
    surprise = [k.person.surprise(k.keypoints, k.colours) for k in (older, younger)]
    return older if surprise[0] > surprise[1] + _SURPRISE else younger
