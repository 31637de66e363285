"""Finds people and keeps their identities: the stage with memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.config import DetectorConfig, TrackerConfig
from hmr_ros.perception.absent import Absent
from hmr_ros.perception.appearance import colours
from hmr_ros.perception.crop_check import CropCheck, limb_distance
from hmr_ros.perception.detector import BODY_SCALE, Finder, without_duplicates
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.perception.likeness import box, is_explained, meet, overlap, roi_distance
from hmr_ros.perception.looks import ESTABLISHED, SURPRISE, Look, owns, settled
from hmr_ros.perception.occlusion import doubted, hidden, painted_out, shown_share
from hmr_ros.perception.person import Person
from hmr_ros.perception.scene import SceneMemory, StirWatch
from hmr_ros.perception.search import Search
from hmr_ros.types import Detection, Frame, Image, Keypoints, Roi, Track

_MAX_GAP_S = 5.0  # a longer jump in the stamps is another scene
_NEAR_TRACK = 0.2  # proposals whose hips are this near (in crop sides) to a tracked person's are that person
_SAME_HIPS, _SAME_LIMBS = 0.1, 0.09  # the same for certain; farther off, as long as limbs are so near each other
_REJECTED_FOR_S = 0.5  # a proposal that was no person is not checked again for this long
_STILL_THERE_S = 0.5  # for this long a person out of sight still explains what seems to be a part of them
_SURE_OF_PLACE_S = 0.5  # for this long somebody in doubtful clothes where a lost person should be is that person
_MAX_PUT_OFF = 10  # frames a search may be put off
_NEAR_PEOPLE = 3  # who are followed in every frame, however late it is
_FLEETING = 3  # frames after which somebody who was lost is waited for
_CROWDED = 0.1  # share of a person's box in another's from which their clothes are not learned
_LEAST_SHOWN = 0.3  # share of a person's limb joints that nobody stands before, below which nothing is seen of them
_SURE = 0.85  # score of a proposal that is looked at again without those before it, in photos and files
_ASTRAY = 0.15  # crop sides from a proposal to a body from which it may be another's
_LEAST_NEW = 0.5  # the same of a new person
_MIXED = 0.4  # the same, from which their place is less certain


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
        self._absent = Absent()
        self._rejected: list[tuple[int, Detection]] = []
        self._stamp_ns: int | None = None
        self._put_off = 0  # frames since the last search, when images come faster than they can be answered
        self._search.reset()
        self._watch = StirWatch()

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
        gone = [p for p in self._people if self._is_gone(p, frame)] + self._too_many()
        self._people = [p for p in self._people if p not in gone]
        for person in gone:
            if person.age > _FLEETING and person.answered:
                self._absent.add(person)
        seen = [p for p in self._people if p.seen is not None]
        seen.sort(key=lambda p: (-round(p.seen.score, 2) if p.seen else 0.0, p.track_id))
        return [p.track(width, height) for p in seen]

    def _too_many(self) -> list[Person]:
        """Beyond `max_people`: who was followed into this frame stays before who came back, and the first before the
        next."""
        here = sorted((p for p in self._people if p.here), key=lambda p: (not p.was_seen, -p.age, p.track_id))
        return here[self._config.max_people :]

    @property
    def _is_full(self) -> bool:
        return sum(p.here for p in self._people) >= self._config.max_people

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
        self._absent.advance(dt_s, self._config.remember_s)
        self._rejected = [(until, d) for until, d in self._rejected if until > stamp_ns]

    def _follow(self, frame: Frame) -> None:
        """Landmarks of everybody who was seen in the last frame, and a second look for one who was not."""
        self._leave_out_far_people()
        followed = [p for p in self._people if not p.rests]
        seen = [p for p in followed if p.unseen_s == 0]
        lost = sorted((p for p in followed if p.unseen_s > 0), key=lambda p: p.unseen_s)[:1]
        if sum(p.unseen_s == 0 for p in self._people) >= self._config.max_people:
            lost = []  # nobody is missing
        looks = settled(self._looks(frame, seen), frame)
        beaten = [p for p in seen if all(k.person is not p for k in looks)] if len(seen) > 1 else []
        looks = settled(looks + self._looks(frame, beaten + lost, looks), frame)
        for look in looks:
            others = [overlap(look.keypoints, o.keypoints, frame) for o in looks if o is not look]
            among = max(others, default=0.0)
            look.person.observe(look.keypoints, certain=among < _MIXED)
            if among < _CROWDED:
                look.person.wears(look.colours)

    def _leave_out_far_people(self) -> None:
        """In a hurry, each of the smaller people rests in every other frame."""
        self._frames += 1
        if not self._hurried:
            return
        followed = [p for p in self._people if p.was_seen and p.age > ESTABLISHED]
        # in coarse steps, so that people of one size do not change places
        followed.sort(key=lambda p: (-round(4 * np.log2(p.last.next_roi.size_px)), p.track_id))
        for person in followed[_NEAR_PEOPLE:]:
            person.rests = (person.track_id + self._frames) % 2 == 0

    def _looks(self, frame: Frame, people: list[Person], looks: Sequence[Look] = ()) -> list[Look]:
        """What is seen where `people` are expected, the nearest first: who is before others is painted out of what
        these are looked for in, as are those of `looks`."""
        looks, queue, yielded = list(looks), sorted(people, key=lambda p: -p.nearness), set()
        before = len(looks)
        while queue:
            person = queue.pop(0)
            front = [k.keypoints for k in looks]
            look = self._look(frame, person, front, [p.expected() for p in queue if p.unseen_s == 0])
            if look is not None and len(self._people) > 1 and person.is_doubtful(look.colours):
                look = self._without_another(frame, look, front)
            if look is None:
                continue
            rival = min(queue, key=lambda p: p.surprise(look.keypoints, look.colours), default=None)
            if rival is not None and person not in yielded and owns(rival, person, look):
                yielded.add(person)  # who was thought to be behind is in front
                queue.remove(rival)
                queue[:0] = [rival, person]
                yielded.add(rival)
                continue
            looks.append(look)
        return looks[before:]

    def _without_another(self, frame: Frame, look: Look, others: list[Keypoints]) -> Look:
        """The better of a look that seems to show another's body and of one in which that body is painted out."""
        again = self._look(frame, look.person, [*others, look.keypoints])
        if again is None:
            return look
        surprise = [look.person.surprise(k.keypoints, k.colours) for k in (look, again)]
        return again if surprise[1] + SURPRISE < surprise[0] else look

    def _look(
        self, frame: Frame, person: Person, others: list[Keypoints], farther: Sequence[Keypoints] = ()
    ) -> Look | None:
        """What is seen where `person` is expected, without those of the `others` who are there too, and without those
        who are expected behind."""
        roi = person.expected_roi()
        before, behind = ([k for k in bodies if meet(k, person.last, roi)] for bodies in (others, farther))
        painted = bool(before or behind)
        image = painted_out(frame.image, before, roi, behind, person.expected()) if painted else frame.image
        keypoints = self._landmarks(image, person, roi, painted=image is not frame.image)
        if keypoints is None or keypoints.score < self._least_score(person):
            return None
        if before:
            covered = hidden(keypoints, before)
            if shown_share(covered) < _LEAST_SHOWN:
                return None
            keypoints = doubted(keypoints, covered)
        beside = any(p is not person and meet(keypoints, p.last, p.motion.roi) for p in self._people)
        return Look(person, keypoints, colours(frame.image, keypoints), beside)

    def _least_score(self, person: Person) -> float:
        return self._config.keep_landmark_score if person.answered else self._config.min_landmark_score

    def _landmarks(self, image: Image, person: Person, roi: Roi, painted: bool) -> Keypoints | None:
        every = self._config.others_every
        return looked(lambda i, r: person.opinion.look(self._landmarker, i, r, every, painted), image, roi)

    def _look_for_people(self, frame: Frame) -> None:
        if self._is_full:
            return
        idle = all(p.seen is None for p in self._people)
        proposals = [d for d in self._proposals(frame, idle=idle) if not self._is_known(d)]
        checks = self._max_checks
        proposals, checks = self._recover(frame, proposals, checks)
        for proposal in proposals:
            if checks <= 0 or self._is_full:
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
        stirs = self._watch.stirs(frame.image, [box(p.last, width, height) for p in self._people])
        for window in self._search.windows(width, height, frame.stamp_ns, idle, stirs):
            self._watch.searched(window)
            proposed = whole if window.size_px >= max(width, height) else parts
            proposed += self._detector(frame.image, window)
        found = [sorted(without_duplicates(d), key=lambda d: -d.roi.size_px) for d in (whole, parts)]
        return found[0] + found[1]

    def _is_known(self, d: Detection) -> bool:
        for person in self._people:
            if person.here and _is_proposed(person, d):
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
            if cost[i, j] > 1.0 or checks <= 0 or self._is_full:
                continue
            checks -= 1
            taken.add(j)
            keypoints = self._somebody(frame, proposals[j])
            if keypoints is not None:
                clothes, long = colours(frame.image, keypoints), lost[i].unseen_s > _SURE_OF_PLACE_S
                if lost[i].is_other(clothes) or (long and lost[i].is_doubtful(clothes)):
                    taken.discard(j)  # perhaps somebody new
                else:
                    lost[i].observe(keypoints)
        return [d for j, d in enumerate(proposals) if j not in taken], checks

    def _welcome(self, frame: Frame, proposal: Detection) -> None:
        known = [p.last for p in self._people if p.unseen_s < _STILL_THERE_S]
        keypoints = self._somebody(frame, proposal, known)
        if keypoints is None:
            return
        self._search.found()
        clothes = colours(frame.image, keypoints)
        person = self._absent.back(keypoints, clothes)
        if person is not None:
            person.comes_back(keypoints)
        else:
            person = Person(self._next_id, keypoints)
            person.wears(clothes)
            self._next_id += 1
        self._people.append(person)

    def _somebody(self, frame: Frame, proposal: Detection, known: list[Keypoints] | None = None) -> Keypoints | None:
        """Landmarks of a proposal that is none of the `known` people (those who are seen) nor a part of one; where it
        seems to be, it may be somebody behind them."""
        seen = [p.seen for p in self._people if p.seen is not None]
        known = seen if known is None else known
        keypoints = self._confirmed(frame, proposal)
        if keypoints is None:
            near = [k for k in seen if _is_at(k, proposal)] if self._search_first and proposal.score > _SURE else []
            return self._behind(frame, proposal, near, known) if near else None
        explained = is_explained(keypoints, known, frame)
        if not explained and (not seen or roi_distance(proposal.roi, keypoints.next_roi) < _ASTRAY):
            return keypoints
        # the crop shows somebody else, who is known or not
        before = [k for k in seen if meet(k, keypoints, keypoints.next_roi)] or [keypoints]
        again = self._behind(frame, proposal, before, known)
        if again is None and explained:
            self._reject(frame, proposal)
            return None
        return again or keypoints

    def _behind(
        self, frame: Frame, proposal: Detection, before: list[Keypoints], known: list[Keypoints]
    ) -> Keypoints | None:
        """Landmarks of a proposal that is none of the `known` people, where those `before` are painted out."""
        image = painted_out(frame.image, before, proposal.roi)
        again = self._confirmed(replace(frame, image=image), proposal)
        if again is None or is_explained(again, known, frame):
            return None
        covered = hidden(again, before)
        return doubted(again, covered) if shown_share(covered) >= _LEAST_NEW else None

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


def _is_proposed(person: Person, d: Detection) -> bool:
    """Whether a proposal is a person who is seen: hips in one place and, where they are a little apart and the detector
    has key points, limbs too."""
    roi = person.last.next_roi
    apart = roi_distance(d.roi, roi)
    if apart > _NEAR_TRACK or apart < _SAME_HIPS or d.points is None:
        return apart <= _NEAR_TRACK
    return limb_distance(d.points, person.last, min(roi.size_px, d.roi.size_px)) < _SAME_LIMBS


def _is_at(body: Keypoints, proposal: Detection) -> bool:
    """Whether a body may hide a part of somebody who is proposed."""
    reach = proposal.roi.size_px / (2 * BODY_SCALE)
    return bool((np.abs(body.keypoints_2d[:, :2] - proposal.roi.center_px) < reach).all(1).any())
