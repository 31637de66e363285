"""One identity: its motion, its last landmarks, what is known of its bones and of its clothes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hmr_ros.body.joints import MEASURED_BONES_BLAZEPOSE
from hmr_ros.perception.appearance import unlike
from hmr_ros.perception.held import HeldOpinion
from hmr_ros.perception.likeness import box, roi_distance
from hmr_ros.perception.motion import RoiMotion
from hmr_ros.perception.occlusion import px_per_metre
from hmr_ros.perception.sides import SideMemory
from hmr_ros.types import Floats, Keypoints, Roi, Track, TrackingState

_BONE_HISTORY = 60  # frames over which bone lengths are averaged
_SEEN = 0.5  # confidence from which a landmark counts as seen
_FIRST_GATE, _GATE_SPEED = 0.35, 2.5  # how far (crop sides, and sides/s) a lost person may reappear
_OTHER_COLOURS = 0.75  # unlikeness from which somebody is another person
_DOUBTFUL_COLOURS = 0.55  # from which this is possible
_MIXED_SIGMA = 5.0  # factor of a measurement's standard deviation among others
_LEARN = 0.1  # weight of what is seen of the clothes, and of the size, in one frame
_LEARN_OTHER = 0.01  # the same where the clothes seem to be another person's


class Person:
    """Somebody who is followed."""

    def __init__(self, track_id: int, keypoints: Keypoints) -> None:
        self.track_id = track_id
        self.motion = RoiMotion(keypoints.next_roi)
        self.seen: Keypoints | None = keypoints  # in the current frame
        self.state = TrackingState.NEW
        self.answered = False
        self.was_seen = True
        self.age = 0  # frames seen
        self._is_back = False  # found again, and not answered since
        self.rests = False  # left out of the current frame, to save time
        self.unseen_s = 0.0
        self.last = keypoints  # when last seen
        self._dt_s = 0.0  # since the last frame
        self._sides = SideMemory(keypoints)
        self.opinion = HeldOpinion()
        self._bones: deque[Floats] = deque(maxlen=_BONE_HISTORY)
        self._remember_bones(keypoints)
        self.colours: Floats = np.full((2, 3), np.nan)  # of the clothes, see `appearance.colours`
        self.nearness = float(np.log(px_per_metre(keypoints)))  # the larger the nearer to the camera

    def advance(self, dt_s: float) -> None:
        """So much later; not seen yet."""
        if not self.here:
            self.unseen_s += dt_s
        self.motion.predict(dt_s)
        self.opinion.advance()
        self._dt_s = dt_s + (self._dt_s if self.rests else 0.0)
        self.was_seen, self.seen, self.rests = self.here, None, False

    @property
    def here(self) -> bool:
        """Whether the person was seen in this frame, or would have been."""
        return self.seen is not None or self.rests

    def expected_roi(self) -> Roi:
        """The crop to look at: the last one moved as the filter expects (never far, as filters overshoot)."""
        predicted = self.motion.roi
        shift = predicted.center_px - self.last.next_roi.center_px
        if self.unseen_s == 0:
            length = float(np.linalg.norm(shift))
            shift = shift * min(1.0, 0.25 * self.last.next_roi.size_px / max(length, 1e-9))
        return Roi(self.last.next_roi.center_px + shift, self.last.next_roi.size_px, self.last.next_roi.angle_rad)

    def expected(self) -> Keypoints:
        """The last landmarks where they should be by now."""
        points = self.last.keypoints_2d.copy()
        points[:, :2] += self.expected_roi().center_px - self.last.next_roi.center_px
        return replace(self.last, keypoints_2d=points, limbs=None)

    def observe(self, keypoints: Keypoints, certain: bool = True) -> None:
        """Seen in this frame; not `certain` among others, whose limbs may have been taken for this person's."""
        if self.answered:
            self._is_back |= not self.was_seen
            self.state = TrackingState.RECOVERED if self._is_back else TrackingState.TRACKED
        self.motion.update(keypoints.next_roi, 1.0 if certain else _MIXED_SIGMA)
        keypoints = self._sides.corrected(keypoints, self._dt_s + self.unseen_s)
        self.seen = self.last = keypoints
        self.unseen_s = 0.0
        self.age += 1
        if certain:
            self.nearness += _LEARN * (float(np.log(px_per_metre(keypoints))) - self.nearness)
        self._remember_bones(keypoints)

    def comes_back(self, keypoints: Keypoints) -> None:
        """Seen again after so long that nothing was expected."""
        self.motion = RoiMotion(keypoints.next_roi)
        self._sides = SideMemory(keypoints)
        self.opinion = HeldOpinion()
        self.was_seen = False
        self.observe(keypoints)
        self.nearness = float(np.log(px_per_metre(keypoints)))

    def wears(self, colours: Floats) -> None:
        """What was seen of the clothes in a frame in which nobody stood before them."""
        known = np.where(np.isfinite(colours), colours, self.colours)
        old = np.where(np.isfinite(self.colours), self.colours, known)
        self.colours = old + (_LEARN_OTHER if self.is_other(colours) else _LEARN) * (known - old)

    def surprise(self, keypoints: Keypoints, colours: Floats) -> float:
        """How badly a look fits what was expected of this person: place and size (crop sides), clothes."""
        at, roi = self.motion.roi, keypoints.next_roi
        size = abs(float(np.log(roi.size_px / at.size_px)))
        return roi_distance(at, roi) + 0.5 * size + unlike(self.colours, colours)

    def is_doubtful(self, colours: Floats) -> bool:
        """Whether somebody in these clothes may be another person."""
        return unlike(self.colours, colours) > _DOUBTFUL_COLOURS

    def is_other(self, colours: Floats) -> bool:
        """Whether somebody in these clothes is surely another person."""
        return unlike(self.colours, colours) > _OTHER_COLOURS

    def mismatch(self, roi: Roi) -> float:
        """How badly a proposal fits this lost person; above 1 it cannot be the same."""
        predicted = self.motion.roi
        gate = _FIRST_GATE + _GATE_SPEED * min(self.unseen_s, 1.0)
        size = abs(np.log(roi.size_px / predicted.size_px)) / np.log(2.0)
        near = min(roi_distance(predicted, roi), roi_distance(self.last.next_roi, roi))
        return float(max(near / gate, size))

    def track(self, width: int, height: int) -> Track:
        """As it is answered."""
        assert self.seen is not None
        self.answered, self._is_back = True, False
        return Track(self.track_id, self.state, self.seen, box(self.seen, width, height), _medians(self._bones))

    def _remember_bones(self, keypoints: Keypoints) -> None:
        ends = keypoints.keypoints_3d[MEASURED_BONES_BLAZEPOSE]
        lengths = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
        seen = (keypoints.keypoints_2d[MEASURED_BONES_BLAZEPOSE, 2] > _SEEN).all(-1)
        self._bones.append(np.where(seen, lengths, np.nan))


def _medians(rows: Iterable[Floats]) -> Floats:
    """Of each column, without NaN, or NaN where there is nothing else; faster than np.nanmedian."""
    ordered = np.sort(np.stack(list(rows)), axis=0)  # NaN comes last
    count = np.isfinite(ordered).sum(0)
    columns, half = np.arange(len(count)), np.maximum(count, 1)
    return (ordered[(half - 1) // 2, columns] + ordered[half // 2, columns]) / 2
