"""Finds people and keeps their identities: the stage with memory."""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, MEASURED_BONES_BLAZEPOSE
from hmr_ros.config import DetectorConfig, TrackerConfig
from hmr_ros.perception.detector import BODY_SCALE, Finder, without_duplicates
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.motion import RoiMotion
from hmr_ros.perception.search import Search
from hmr_ros.perception.sides import SideMemory
from hmr_ros.types import Detection, Floats, Frame, Keypoints, Roi, Track, TrackingState

_MAX_GAP_S = 5.0  # a longer jump in the stamps is another scene
_BONE_HISTORY = 60  # frames over which bone lengths are averaged
_SEEN = 0.5  # confidence from which a landmark counts as seen
_SAME_BODY = 0.15  # mean landmark distance, as a share of the crop's side, below which two bodies are one
_COVERED = 0.6  # share of a new person's box inside a known person's that makes it a part of that person
_TRUNCATED = 1.5  # crop sides per image side from which a person is near and largely out of sight
_NEAR_TRACK = 0.2  # proposals whose hips are this near (in crop sides) to a tracked person's are that person
_FIRST_LOOK = 0.3  # landmark score in the detector's own crop that is worth a second look
_REJECTED_FOR_S = 0.5  # a proposal that was no person is not checked again for this long
_FIRST_GATE, _GATE_SPEED = 0.35, 2.5  # how far (crop sides, and sides/s) a lost person may reappear
_STILL_THERE_S = 0.5  # for this long a person out of sight still explains what seems to be a part of them
_MAX_PUT_OFF = 10  # frames a search may be put off
_MIN_ROI_PX = 12.0  # smaller people show nothing that landmarks could use
_OUTLINE = np.r_[BLAZEPOSE["nose"], BLAZEPOSE_LIMBS]


class PersonTracker:
    """image -> people with identities; landmarks are followed from frame to frame, the detector finds new people."""

    def __init__(self, detector: Finder, landmarker: Landmarker, config: TrackerConfig, search: DetectorConfig) -> None:
        self._detector, self._landmarker, self._config = detector, landmarker, config
        self._search_first = search.before_answer
        self._search = Search(search)
        self.adjust(config, search)
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._people: list[_Person] = []
        self._rejected: list[tuple[int, Detection]] = []
        self._stamp_ns: int | None = None
        self._put_off = 0  # frames since the last search, when images come faster than they can be answered
        self._search.reset()

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
        self._advance(frame.stamp_ns)
        self._follow(frame)
        self._separate(frame)
        if self._search_first:
            self._look_for_people(frame)
            self._separate(frame)
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
        self._separate(frame)
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
        retried = False
        for person in sorted(self._people, key=lambda p: p.unseen_s):
            if person.unseen_s > 0:
                if retried:
                    continue
                retried = True
            keypoints = self._landmarks(frame, person.expected_roi())
            if keypoints is not None and keypoints.score >= self._least_score(person):
                person.observe(keypoints)

    def _least_score(self, person: _Person) -> float:
        return self._config.keep_landmark_score if person.answered else self._config.min_landmark_score

    def _landmarks(self, frame: Frame, roi: Roi) -> Keypoints | None:
        if not _MIN_ROI_PX <= roi.size_px <= 20 * max(frame.image.shape[:2]):
            return None
        keypoints = self._landmarker(frame.image, roi)
        usable = np.isfinite(keypoints.keypoints_2d).all() and keypoints.next_roi.size_px >= _MIN_ROI_PX
        return keypoints if usable else None

    def _separate(self, frame: Frame) -> None:
        """Two identities on one body: the one that fits its own prediction better keeps it, the other is lost."""
        seen = sorted((p for p in self._people if p.seen is not None), key=lambda p: p.track_id)
        for i, older in enumerate(seen):
            for younger in seen[i + 1 :]:
                if older.seen is None or younger.seen is None:
                    continue
                if _covers(older.seen, younger.seen, frame, near_only=True):
                    younger.lose()
                elif _covers(younger.seen, older.seen, frame, near_only=True):
                    older.lose()
                if older.seen is None or younger.seen is None or not _same_body(older.seen, younger.seen):
                    continue
                established = younger.age > 10 and older.age > 10
                loser = older if established and older.innovation > 2 * younger.innovation else younger
                loser.lose()
        self._people = [p for p in self._people if p.seen is not None or p.age > 3]

    def _look_for_people(self, frame: Frame) -> None:
        height, width = frame.image.shape[:2]
        seen = [p for p in self._people if p.seen is not None]
        if len(seen) >= self._config.max_people:
            return
        found: list[Detection] = []
        for window in self._search.windows(width, height, frame.stamp_ns, idle=not seen):
            found += self._detector(frame.image, window)
        proposals = [d for d in without_duplicates(found) if not self._is_known(d)]
        checks = self._max_checks
        proposals, checks = self._recover(frame, proposals, checks)
        # a tile that shows part of a near person makes up a small one: the large ones come first and keep it out
        proposals.sort(key=lambda d: -d.roi.size_px)
        for proposal in proposals:
            if checks <= 0 or sum(p.seen is not None for p in self._people) >= self._config.max_people:
                break
            checks -= 1
            self._welcome(frame, proposal)

    def _is_known(self, d: Detection) -> bool:
        for person in self._people:
            if person.seen is not None and _roi_distance(d.roi, person.seen.next_roi) < _NEAR_TRACK:
                return True
        return any(_roi_distance(d.roi, old.roi) < _NEAR_TRACK / 2 for _, old in self._rejected)

    def _recover(self, frame: Frame, proposals: list[Detection], checks: int) -> tuple[list[Detection], int]:
        """Give lost people their id back where a proposal fits (optimal assignment); returns what is left."""
        lost = [p for p in self._people if p.seen is None]
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
            if keypoints is not None:
                lost[i].observe(keypoints)
        return [d for j, d in enumerate(proposals) if j not in taken], checks

    def _welcome(self, frame: Frame, proposal: Detection) -> None:
        keypoints = self._confirmed(frame, proposal)
        if keypoints is None:
            return
        known = [p.last for p in self._people if p.unseen_s < _STILL_THERE_S]
        if any(_covers(k, keypoints, frame) or _same_body(k, keypoints) for k in known):
            self._reject(frame, proposal)
            return
        self._people.append(_Person(self._next_id, keypoints))
        self._next_id += 1

    def _confirmed(self, frame: Frame, proposal: Detection) -> Keypoints | None:
        """Landmarks of a proposal, or None for a false alarm.

        The detector's crop is rough, so they must hold in their own, better one; live, the next frame is that look.
        """
        roi, keypoints = proposal.roi, None
        for least in (_FIRST_LOOK, self._config.min_landmark_score) if self._search_first else (_FIRST_LOOK,):
            keypoints = self._landmarks(frame, roi)
            if keypoints is None or keypoints.score < least:
                self._reject(frame, proposal)
                return None
            roi = keypoints.next_roi
        return keypoints

    def _reject(self, frame: Frame, proposal: Detection) -> None:
        """Remember a false alarm, where checks are few, so that it does not keep others from being checked."""
        if not self._search_first:
            self._rejected.append((frame.stamp_ns + int(_REJECTED_FOR_S * 1e9), proposal))

    def _is_gone(self, person: _Person, frame: Frame) -> bool:
        if person.unseen_s > self._config.max_occlusion_s:
            return True
        height, width = frame.image.shape[:2]
        if person.seen is not None:
            return not np.any(person.seen.keypoints_2d[:, 2] > 0.1)
        roi = person.motion.roi
        margin = roi.size_px / 2
        x, y = roi.center_px
        return not (-margin < x < width + margin and -margin < y < height + margin)


class _Person:
    """One identity: its motion, its last landmarks and what is known of its bones."""

    def __init__(self, track_id: int, keypoints: Keypoints) -> None:
        self.track_id = track_id
        self.motion = RoiMotion(keypoints.next_roi)
        self.seen: Keypoints | None = keypoints  # in the current frame
        self.state = TrackingState.NEW
        self.answered = False
        self._was_seen = True
        self.age = 0  # frames seen
        self.unseen_s = 0.0
        self.innovation = 0.0  # distance from the prediction, in crop sides
        self.last = keypoints  # when last seen
        self._dt_s = 0.0  # since the last frame
        self._sides = SideMemory(keypoints)
        self._bones: deque[Floats] = deque(maxlen=_BONE_HISTORY)
        self._remember_bones(keypoints)

    def advance(self, dt_s: float) -> None:
        if self.seen is None:
            self.unseen_s += dt_s
        self.motion.predict(dt_s)
        self._dt_s = dt_s
        self._was_seen, self.seen = self.seen is not None, None

    def expected_roi(self) -> Roi:
        """The crop to look at: the last one moved as the filter expects (never far, as filters overshoot)."""
        predicted = self.motion.roi
        shift = predicted.center_px - self.last.next_roi.center_px
        if self.unseen_s == 0:
            length = float(np.linalg.norm(shift))
            shift = shift * min(1.0, 0.25 * self.last.next_roi.size_px / max(length, 1e-9))
        return Roi(self.last.next_roi.center_px + shift, self.last.next_roi.size_px, self.last.next_roi.angle_rad)

    def observe(self, keypoints: Keypoints) -> None:
        self.innovation = _roi_distance(self.motion.roi, keypoints.next_roi)
        if self.answered:
            self.state = TrackingState.TRACKED if self._was_seen else TrackingState.RECOVERED
        self.motion.update(keypoints.next_roi)
        keypoints = self._sides.corrected(keypoints, self._dt_s + self.unseen_s)
        self.seen = self.last = keypoints
        self.unseen_s = 0.0
        self.age += 1
        self._remember_bones(keypoints)

    def lose(self) -> None:
        """The landmarks of this frame belong to somebody else."""
        self.seen = None
        self.unseen_s = max(self.unseen_s, 1e-3)

    def mismatch(self, roi: Roi) -> float:
        """How badly a proposal fits this lost person; above 1 it cannot be the same."""
        predicted = self.motion.roi
        gate = _FIRST_GATE + _GATE_SPEED * min(self.unseen_s, 1.0)
        size = abs(np.log(roi.size_px / predicted.size_px)) / np.log(2.0)
        near = min(_roi_distance(predicted, roi), _roi_distance(self.last.next_roi, roi))
        return float(max(near / gate, size))

    def track(self, width: int, height: int) -> Track:
        assert self.seen is not None
        self.answered = True
        bones = np.stack(self._bones)
        known = np.isfinite(bones).any(0)
        lengths = np.full(bones.shape[1], np.nan)
        lengths[known] = np.nanmedian(bones[:, known], axis=0)
        return Track(self.track_id, self.state, self.seen, _box(self.seen, width, height), lengths)

    def _remember_bones(self, keypoints: Keypoints) -> None:
        ends = keypoints.keypoints_3d[MEASURED_BONES_BLAZEPOSE]
        lengths = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
        seen = (keypoints.keypoints_2d[MEASURED_BONES_BLAZEPOSE, 2] > _SEEN).all(-1)
        self._bones.append(np.where(seen, lengths, np.nan))


def _same_body(a: Keypoints, b: Keypoints) -> bool:
    """Whether two sets of landmarks lie on one person."""
    size = min(a.next_roi.size_px, b.next_roi.size_px)
    distance = np.linalg.norm(a.keypoints_2d[_OUTLINE, :2] - b.keypoints_2d[_OUTLINE, :2], axis=-1)
    return float(np.median(distance)) < _SAME_BODY * size


def _covers(known: Keypoints, other: Keypoints, frame: Frame, near_only: bool = False) -> bool:
    """Whether `other` is made up of parts of a known person.

    Of a person so near that most of the body is out of sight, the networks tend to see a second, smaller one;
    `near_only` asks for that case alone, which holds at any time and not only for new people.
    """
    height, width = frame.image.shape[:2]
    a, b = _box(known, width, height), _box(other, width, height)
    overlap = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    sides = known.next_roi.size_px, other.next_roi.size_px
    if sides[0] > _TRUNCATED * min(height, width) and sides[0] > 1.2 * sides[1]:
        return bool(overlap > 0.3 * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])))
    return not near_only and bool(overlap > _COVERED * np.prod(np.maximum(b[2:] - b[:2], 1)))


def _roi_distance(a: Roi, b: Roi) -> float:
    """Distance of the centres in sides of the smaller square."""
    return float(np.linalg.norm(a.center_px - b.center_px)) / min(a.size_px, b.size_px)


def _box(keypoints: Keypoints, width: int, height: int) -> Floats:
    """Box [4] around the visible landmarks with a margin for flesh and hair, clipped to the image."""
    points = keypoints.keypoints_2d
    visible = points[points[:, 2] > 0.3, :2]
    if len(visible) < 2:
        visible = points[:, :2]
    low, high = visible.min(0), visible.max(0)
    margin = 0.05 * keypoints.next_roi.size_px / (2 * BODY_SCALE) * 2
    limit = np.array([width, height]) - 1.0
    return np.concatenate([np.clip(low - margin, 0, limit), np.clip(high + margin, 0, limit)])
