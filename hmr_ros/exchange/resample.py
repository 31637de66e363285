"""Poses 20 ms apart from answers that come when they come: one frame of delay, and no jump whatever happens.

A cursor goes through the answers' time. It aims at a moment that lies one frame and the usual way of an answer (from
the image to here) before now, so that the answers on both sides of it are there. Where the next answer is late it waits
at the newest one, and goes up to a fifth faster afterwards instead of jumping.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hmr_ros.exchange.motion import BodyPose, between

RATE_HZ = 50.0
STEP_S = 1 / RATE_HZ
_KEPT = 64  # answers
_FIRST_PERIOD_S = 1 / 30  # of the answers, until two have come
_GAP_S, _GAP_PERIODS = 0.25, 4.0  # without an answer: the person was away
_LATE_SHARE = 90.0  # percentile of the answers' way; later ones make the cursor wait
_CATCH_UP_S, _MOST = 0.3, 0.2  # by how much the cursor goes faster or slower than time to reach its aim, at most
_NEAR_S = 0.003  # from the aim it goes exactly as fast as time
_JUMP_S = 1.0  # from the aim, or of the way: a clock has stepped


@dataclass(frozen=True)
class Sample:
    """What is sent at one moment."""

    pose: BodyPose
    stamp_s: float  # of the moment that it shows, on the clock of the answers
    fresh: bool  # False: the last pose is held


class Resampler:
    """One person's pose at every step. Not safe to call from several threads at once."""

    def __init__(self, hold_s: float, blend_s: float) -> None:
        """`hold_s`: how long the last pose is repeated; `blend_s`: how long it goes over into the next one seen."""
        self._hold_s, self._blend_s = hold_s, blend_s
        self._answers: deque[tuple[float, BodyPose]] = deque(maxlen=_KEPT)
        self._ways: deque[float] = deque(maxlen=_KEPT)  # s from the image to here
        self._way = 0.0  # that nine of ten answers need at most
        self._periods: deque[float] = deque(maxlen=_KEPT)
        self._person: int | None = None
        self._cursor: float | None = None  # s on the answers' clock
        self._waits_since: float | None = None
        self._now = 0.0
        self._shown: BodyPose | None = None
        self._from: tuple[float, BodyPose] | None = None  # since when, and from what, the pose is blended

    def add(self, person: int, stamp_s: float, came_s: float, pose: BodyPose) -> None:
        """An answer: the pose of `person` at `stamp_s`, known at `came_s` (each on a clock of its own).

        One that is not finite, or not newer than the last one, is left out.
        """
        if not pose.is_finite:
            return
        if self._answers:
            apart = stamp_s - self._answers[-1][0]
            if person == self._person and -_GAP_S < apart <= 0:
                return
            if person != self._person or apart <= 0 or apart > max(_GAP_S, _GAP_PERIODS * self.period_s):
                self._begin_again()
            else:
                self._periods.append(apart)
        self._person = person
        self._answers.append((stamp_s, pose))
        if self._ways and abs(came_s - stamp_s - self._way) > _JUMP_S:
            self._ways.clear()
        self._ways.append(came_s - stamp_s)
        self._way = float(np.percentile(self._ways, _LATE_SHARE))

    @property
    def period_s(self) -> float:
        """Seconds between two answers."""
        return float(np.median(self._periods)) if self._periods else _FIRST_PERIOD_S

    def next(self, now_s: float) -> Sample | None:
        """The sample to be sent at `now_s` (the clock of `came_s`); None: nobody was ever there, or is any more.

        To be asked once a step.
        """
        if not self._answers:
            return None
        newest = self._answers[-1][0]
        before, self._cursor = self._cursor, self._advanced(now_s, newest)
        self._now = now_s
        waits = self._cursor >= newest and before is not None and before >= newest and self._from is None
        if not waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now_s
        if self._waits_since is not None and now_s - self._waits_since >= self._hold_s:
            return None
        self._shown = self._blended(self._interpolated(self._cursor), now_s)
        return Sample(self._shown, self._cursor, not waits)

    def _begin_again(self) -> None:
        """Somebody is seen after a gap: the answers before it are no neighbours of those that come."""
        self._answers.clear()
        self._cursor = self._waits_since = None
        if self._shown is not None:
            self._from = (-1.0, self._shown)

    def _advanced(self, now_s: float, newest: float) -> float:
        oldest = self._answers[0][0]
        aim = min(max(now_s - self._way - self.period_s, oldest), newest)
        if self._cursor is None:
            return aim
        passed = now_s - self._now
        behind = aim - (self._cursor + passed)
        if behind > _JUMP_S:  # without a gap in the answers: time here and there do not run alike
            self._from = None if self._shown is None else (-1.0, self._shown)
            return aim
        off = 0.0 if abs(behind) < _NEAR_S else behind
        speed = 1 + float(np.clip(off / _CATCH_UP_S, -_MOST, _MOST))
        return min(max(self._cursor + speed * passed, oldest), newest)

    def _interpolated(self, stamp_s: float) -> BodyPose:
        later = next(i for i, (stamp, _) in enumerate(self._answers) if stamp >= stamp_s)
        stamp, pose = self._answers[later]
        if later == 0 or stamp == stamp_s:
            return pose
        before, start = self._answers[later - 1]
        return between(start, pose, (stamp_s - before) / (stamp - before))

    def _blended(self, pose: BodyPose, now_s: float) -> BodyPose:
        if self._from is None:
            return pose
        since, start = self._from
        if since < 0:
            since = now_s - STEP_S  # the first step is a step already
            self._from = since, start
        share = 1.0 if self._blend_s == 0 else (now_s - since) / self._blend_s
        if share >= 1:
            self._from = None
            return pose
        return between(start, pose, share * share * (3 - 2 * share))
