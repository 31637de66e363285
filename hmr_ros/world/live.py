"""The world as it is known now: gravity, floor and feet of a stream, from the past alone."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from hmr_ros.body.axes import body_rotation
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Camera, Floats, Frame, Human, ScaleSource, WorldState
from hmr_ros.world.contact import CAUSAL_BEFORE, RATE_HZ, contact_rule, features, ground_so_far
from hmr_ros.world.feet import Soles
from hmr_ros.world.floor import height_over_floor, scale_of_floor, scaled_betas, scales_of_floor
from hmr_ros.world.gravity import CameraPose, Gravity
from hmr_ros.world.stand import STANDS, with_legs
from hmr_ros.world.upright import UpEstimate
from hmr_ros.world.walk import Walk, changed, human_at, walk_of
from hmr_ros.world.whole import given_gravity, warn_of_nothing_heard

_HISTORY_S = 1.0  # of which the ground is taken
_GAP_S = 0.5  # out of sight, after which a person begins anew
_LETS_GO = 0.4  # probability below which a point is held no longer
_RECENTRE = 0.7  # share of the pelvis' correction that the next foothold keeps: the way drifts back to what is seen
_FARTHEST_M = 0.25  # that the pelvis is moved
_FARTHEST_FOOT_M = 0.12  # and an ankle
_RETURN_S, _FADE_S = 1.0, 0.07  # time constants of the pelvis' and a foot's way back when nothing is held
_VELOCITY_S = 0.2  # over which a velocity is taken
_FOOTHOLDS = 300  # standing points that the floor is the median of
_SCALES = 200  # standing points that a person's size is the median of
_SCALE_STEP = 0.01  # by which it may change from frame to frame
_GRID_S = np.arange(CAUSAL_BEFORE + 1, -1, -1) / RATE_HZ  # ago, of the frames that the rule reads, and one more
_DEPTH_EVERY, _DEPTHS = 15, 20  # frames from one look at the floor to the next; looks that it is the median of


class LiveWorld:
    """Gives people their world, frame by frame; not safe to call from several threads at once."""

    def __init__(self, body: BodyModel, config: HmrConfig) -> None:
        """`body` is that of the people."""
        self.body, self._soles, self.config = body, Soles(body), config
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forget everybody, the floor and which way is up."""
        self._up, self._people, self._frame = UpEstimate(), dict[int, _Stander](), ""
        self._footholds: deque[float] = deque(maxlen=_FOOTHOLDS)  # heights in world axes, the camera at the origin
        self._depths: deque[float] = deque(maxlen=_DEPTHS)
        self._lowest: float | None = None

    def __call__(self, frame: Frame, humans: list[Human], pose: CameraPose | None = None) -> list[Human]:
        """The people of one frame (camera frame) with their `world`, standing feet held. `pose`: what /tf or an Imu
        says; None: the configuration or people say which way is up."""
        if self.config.world.gravity == "none":
            return humans
        pose = pose or CameraPose(self._gravity(humans))
        gravity, place, name = pose.gravity, pose.place, pose.frame
        R, t = pose.R_world_camera, pose.eye
        if name != self._frame:  # another world
            self._people.clear()
            self._frame = name
        seconds = frame.stamp_ns * 1e-9
        self._people = {i: p for i, p in self._people.items() if 0 < seconds - p.seconds <= _GAP_S}
        height = self._measured_height(frame, gravity, place)
        found = [self._stand(h, R, t, height, gravity, frame.camera) for h in humans]
        origin = t if place else np.array([0.0, 0.0, height or self._height_over_feet(found)])
        return [
            replace(h, world=WorldState(
                R, origin, R @ h.joints[0] + origin, p.velocity, p.contacts, gravity.source, gravity.sigma, name,
                R @ body_rotation(h),
            ))
            for h, p in found
        ]  # fmt: skip

    def _gravity(self, humans: list[Human]) -> Gravity:
        if not self._warned:
            self._warned = True
            warn_of_nothing_heard(self.config.world.gravity)
        given = given_gravity(self.config)
        if given is not None:
            return given
        for human in humans:
            self._up.add(human)
        return self._up.gravity()

    def _measured_height(self, frame: Frame, gravity: Gravity, place: Rigid | None) -> float | None:
        """Of the camera over the floor, m; None: only feet tell."""
        if self.config.camera.height_m:
            return self.config.camera.height_m
        if place is not None or frame.depth is None:
            return None
        if frame.index % _DEPTH_EVERY == 0 or not self._depths:
            found = height_over_floor(frame.depth, frame.camera, gravity.up)
            if found is not None:
                self._depths.append(found)
        return float(np.median(self._depths)) if self._depths else None

    def _height_over_feet(self, found: list[tuple[Human, _Stander]]) -> float:
        """Of the camera over the points that stood, else over the lowest ones that were seen."""
        for _, person in found:
            points, contacts = person.points, person.contacts
            self._footholds.extend(points[contacts > STANDS, 2].tolist())
            lowest = float(points[:, 2].min())
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
        if self._footholds:
            return -float(np.median(self._footholds))
        return -self._lowest if self._lowest is not None else 0.0

    def _stand(
        self, human: Human, R: Floats, t: Floats, height: float | None, gravity: Gravity, camera: Camera
    ) -> tuple[Human, _Stander]:
        """One person with standing feet held, still without `world`."""
        person = self._people.setdefault(human.track_id, _Stander())
        walk = walk_of([human], R[None], self._soles)
        measured = human.scale >= ScaleSource.DEPTH
        scale = 1.0 if height is None or measured else person.scale(height, gravity.sigma)
        if scale != 1.0:
            betas = scaled_betas(self._soles.body, walk.betas[0], scale)[None]
            walk = changed(walk, self._soles, betas=betas, pelvis=scale * walk.pelvis)
        other = person.observe(walk, t, scale)
        if self.config.world.feet == "always":
            held = person.held(walk, t, self._soles)
            other, walk = other or held is not walk, held
        person.moved_to(walk, t)
        if not other:
            return human, person
        human = human_at(human, walk, 0, R, self._soles.body, camera)
        return replace(human, scale=ScaleSource.FLOOR) if scale != 1.0 else human, person


class _Stander:
    """One person: what was seen of the soles, and where they stand."""

    def __init__(self) -> None:
        self.seconds = -np.inf
        self.contacts, self.velocity, self.points = np.zeros(4), np.zeros(3), np.zeros((4, 3))
        self._seen: deque[Floats] = deque()  # seconds, points of the soles [12] and sight [2], as seen
        self._ways: deque[tuple[float, Floats]] = deque()  # seconds and pelvis, as answered
        self._anchors: dict[int, Floats] = {}  # where points stand
        self._shift, self._feet = np.zeros(3), np.zeros((2, 3))  # of the pelvis and of the ankles
        self._scales: deque[Floats] = deque(maxlen=_SCALES)
        self._scale, self._step_s = 1.0, 1 / RATE_HZ

    def scale(self, height_m: float, up_sigma: float) -> float:
        """What the floor says of the person's size so far, changed a little at a time."""
        if self._scales:
            wanted = scale_of_floor(np.array(self._scales), up_sigma) or self._scale
            self._scale += float(np.clip(wanted - self._scale, -_SCALE_STEP, _SCALE_STEP))
        self._height_m = height_m
        return self._scale

    def observe(self, walk: Walk, t: Floats, scale: float) -> bool:
        """Take in a frame: which points stand now. True where `scale` changed the person."""
        now, points = float(walk.seconds[0]), walk.points[0] + t
        if np.isfinite(self.seconds):
            self._step_s = now - self.seconds
        self.seconds = now
        self._seen.append(np.concatenate([[now], points.reshape(-1), walk.pelvis[0, :2]]))
        while now - self._seen[0][0] > _HISTORY_S:
            self._seen.popleft()
        self.contacts = self._contacts(now)
        if hasattr(self, "_height_m"):
            found = scales_of_floor(walk.points[0] / scale, self.contacts, self._height_m)
            self._scales.extend(found)
        return scale != 1.0

    def _contacts(self, now: float) -> Floats:
        """[4], by the rule that knows the past alone, at 30 Hz."""
        seen = np.array(self._seen)
        seconds, rows = seen[:, 0], seen[:, 1:]
        grid = np.maximum(now - _GRID_S, seconds[0])
        if len(seconds) > 1:
            after = np.clip(np.searchsorted(seconds, grid), 1, len(seconds) - 1)
            share = ((grid - seconds[after - 1]) / (seconds[after] - seconds[after - 1]))[:, None]
            even = (1 - share) * rows[after - 1] + share * rows[after]
        else:
            even = np.repeat(rows, len(grid), 0)
        ground = ground_so_far(rows[:, 2:12:3].min(1))
        given = features(even[:, :12].reshape(-1, 4, 3), np.full(len(grid), ground), even[:, 12:])[1:]
        rule = contact_rule(causal=True)
        return rule.of_windows(np.moveaxis(given, 0, 1).reshape(1, 4, -1), given[-1:])[0]

    def held(self, walk: Walk, t: Floats, soles: Soles) -> Walk:
        """The frame with the pelvis where the standing points have it, and legs that reach them."""
        points = walk.points[0] + t
        self._anchors = {k: a for k, a in self._anchors.items() if self.contacts[k] > _LETS_GO}
        for k in np.flatnonzero(self.contacts > STANDS):
            if int(k) not in self._anchors:
                self._anchors[int(k)] = points[k] + _RECENTRE * self._shift + self._feet[k // 2]
        rows = sorted(self._anchors)
        if rows:
            wanted = np.array([self._anchors[k] - points[k] for k in rows])
            self._shift = np.average(wanted, axis=0, weights=self.contacts[rows])
            if np.linalg.norm(self._shift) > _FARTHEST_M:
                self._shift *= _FARTHEST_M / np.linalg.norm(self._shift)
                self._anchors.clear()
        else:
            self._shift *= np.exp(-self._step_s / _RETURN_S)
        self._place_feet(points)
        if not (np.abs(self._shift).max() > 1e-5 or np.abs(self._feet).max() > 1e-5):
            return walk
        moved = replace(
            walk, pelvis=walk.pelvis + self._shift, joints=walk.joints + self._shift, points=walk.points + self._shift
        )
        return with_legs(moved, self._feet[None], soles)

    def _place_feet(self, points: Floats) -> None:
        """By how much each ankle is moved beside the pelvis."""
        for side in range(2):
            rows = [k for k in (2 * side, 2 * side + 1) if k in self._anchors]
            if not rows:
                self._feet[side] *= np.exp(-self._step_s / _FADE_S)
                continue
            rest = [self._anchors[k] - points[k] - self._shift for k in rows]
            move = np.average(rest, axis=0, weights=self.contacts[rows])
            length = float(np.linalg.norm(move))
            if length > _FARTHEST_FOOT_M:
                for k in rows:
                    del self._anchors[k]
                move *= _FARTHEST_FOOT_M / length
            self._feet[side] = move

    def moved_to(self, walk: Walk, t: Floats) -> None:
        """The frame as it is answered: velocity and soles."""
        self.points = walk.points[0]
        pelvis = walk.pelvis[0] + t
        self._ways.append((self.seconds, pelvis))
        while self.seconds - self._ways[0][0] > _VELOCITY_S:
            self._ways.popleft()
        seconds = np.array([s for s, _ in self._ways])
        seconds = seconds - seconds.mean()
        spread = float(seconds @ seconds)
        if spread > 0:
            self.velocity = np.asarray(seconds @ np.array([p for _, p in self._ways]) / spread)
