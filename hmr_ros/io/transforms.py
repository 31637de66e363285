"""Transforms between frames by stamp: tf2's buffer in the small, for tf2_ros comes with a ROS installation alone."""

from __future__ import annotations

import bisect
import threading
import time
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_quaternion
from hmr_ros.io.encodings import stamp_ns

_KEPT_NS = 10 * 10**9  # as long as tf2 keeps them
_MAX_DEPTH = 100  # frames from one to the root; more is a circle


class _History:
    """One frame in its parent over time."""

    def __init__(self, parent: str, static: bool) -> None:
        self.parent, self.static = parent, static
        self.stamps: list[int] = []
        self.poses: list[Rigid] = []

    def add(self, stamp: int, pose: Rigid) -> None:
        if self.static:
            self.stamps, self.poses = [stamp], [pose]
            return
        if self.stamps and stamp < self.stamps[-1] - _KEPT_NS:  # a recording that began anew
            self.stamps, self.poses = [], []
        i = bisect.bisect_left(self.stamps, stamp)
        if i < len(self.stamps) and self.stamps[i] == stamp:
            return
        self.stamps.insert(i, stamp)
        self.poses.insert(i, pose)
        old = bisect.bisect_left(self.stamps, self.stamps[-1] - _KEPT_NS)
        del self.stamps[:old], self.poses[:old]

    def at(self, stamp: int) -> Rigid | None:
        """Between the two transforms around the stamp; None before the first and after the last."""
        if self.static:
            return self.poses[0]
        i = bisect.bisect_left(self.stamps, stamp)
        if i == len(self.stamps):
            return None
        if self.stamps[i] == stamp:
            return self.poses[i]
        if i == 0:
            return None
        before, after = self.stamps[i - 1], self.stamps[i]
        return self.poses[i - 1].towards(self.poses[i], (stamp - before) / (after - before))


class TransformBuffer:
    """Of the last ten seconds; fed by one thread, asked by another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: dict[str, _History] = {}
        self._closed = False

    def close(self) -> None:
        """Nothing comes any more: who waits need not."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def add(self, transforms: Any, static: bool) -> None:
        """Take in geometry_msgs/TransformStamped messages."""
        with self._changed:
            before = len(self._frames)
            for t in transforms:
                child, parent = t.child_frame_id.strip("/"), t.header.frame_id.strip("/")
                history = self._frames.get(child)
                if history is None or history.parent != parent or history.static != static:
                    history = self._frames[child] = _History(parent, static)
                history.add(stamp_ns(t.header.stamp), _rigid(t.transform))
            if len(self._frames) > before:  # the frames of people come and go, and others' may too
                self._forget_old()
            self._changed.notify_all()

    def _forget_old(self) -> None:
        """Frames that move no longer, such as those of people who left."""
        newest = max((h.stamps[-1] for h in self._frames.values() if not h.static), default=0)
        self._frames = {n: h for n, h in self._frames.items() if h.static or h.stamps[-1] > newest - _KEPT_NS}

    def lookup(self, target: str, source: str, stamp: int, timeout_s: float) -> Rigid:
        """The transform source -> target at exactly this stamp (ns); InputError where none is known in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found, problem = self._find(target.strip("/"), source.strip("/"), stamp)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if self._closed or left <= 0 or not self._changed.wait(left):
                    raise InputError(f"no transform from '{source}' to '{target}' at the image's stamp: {problem}")

    def _find(self, target: str, source: str, stamp: int) -> tuple[Rigid | None, str]:
        (from_source, problem), (from_target, other) = self._to_root(source, stamp), self._to_root(target, stamp)
        common = next((name for name in from_source if name in from_target), None)
        if common is None:
            return None, problem or other or "the two are not in one tree"
        return from_target[common].inverse @ from_source[common], ""

    def _to_root(self, frame: str, stamp: int) -> tuple[dict[str, Rigid], str]:
        """Transforms from `frame` to each frame above it, nearest first, as far as they are known at the stamp; and why
        the way ends where it ends before the root."""
        chain, pose = {frame: Rigid()}, Rigid()
        while (history := self._frames.get(frame)) is not None:
            step = history.at(stamp)
            if step is None:
                when = "no longer" if stamp < history.stamps[0] else "not yet"
                return chain, f"'{frame}' in '{history.parent}' is {when} known then"
            pose = step @ pose
            frame = history.parent
            if frame in chain or len(chain) > _MAX_DEPTH:
                return chain, f"'{frame}' is above itself"
            chain[frame] = pose
        known = len(chain) > 1 or any(h.parent == frame for h in self._frames.values())
        return chain, "" if known else f"nobody says where '{frame}' is"


def _rigid(transform: Any) -> Rigid:
    at, q = transform.translation, transform.rotation
    quat_wxyz = np.array([q.w, q.x, q.y, q.z])
    norm = float(np.linalg.norm(quat_wxyz))
    rotation = matrix_from_quaternion(quat_wxyz / norm) if norm > 0 else np.eye(3)
    return Rigid(rotation, np.array([at.x, at.y, at.z]))
