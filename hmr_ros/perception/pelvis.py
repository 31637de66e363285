"""Where people's hips are, how they move and how sure that is; and where those out of sight should be by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hmr_ros.body.axes import between_hips, body_rotation
from hmr_ros.body.joints import BLAZEPOSE, SMPL
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import rotation_vector_of
from hmr_ros.types import Camera, Floats, Human, PelvisState, ScaleSource, TrackingState

# one standard deviation of the distance as a share of it, by what says it: constant for a person, so no filter helps
_SCALE = {
    ScaleSource.GUESS: 0.3, ScaleSource.INTRINSICS: 0.06, ScaleSource.DEPTH: 0.01, ScaleSource.CAMERAS: 0.01,
    ScaleSource.FLOOR: 0.03,
}  # fmt: skip
_SCALE_UNSEEN = 0.5  # where the hips are out of sight, as with a head alone
_HIP_LANDMARKS = [BLAZEPOSE["left_hip"], BLAZEPOSE["right_hip"]]
_SEEN = 0.5  # confidence from which a landmark counts as seen
_ACROSS, _ALONG = 0.006, 0.03  # noise from frame to frame across and along the line of sight, as a share of distance
_ACCELERATION = 4.0  # m/s^2: a start or a turn; with this, velocities of a dancer err as they say they do
_FIRST_SPEED = 1.5  # m/s: one standard deviation of a person of whom nothing is known
_TURN, _TURN_RATE = 6.0, 2.0  # rad/s^2 and rad/s, likewise
_LEAST_TURN = 0.05  # rad: error of the orientation at best
_TURN_JITTER = 0.015  # rad: what of it changes from frame to frame
_HIP_M = 0.1  # m from the pelvis to a hip: an error of the hips turns the body about this arm
_MAX_GAP_S = 5.0  # a longer jump in the stamps is another scene
_ESTABLISHED = 3  # frames: who was seen less often is not missed
_SAME_PLACE_M = 0.35  # a seen person so near is the one who is missed, under another id
_DIAGONAL = np.arange(6), np.arange(6)
_CROSS = np.array([0, 1, 2, 3, 4, 5]), np.array([3, 4, 5, 0, 1, 2])  # position and velocity along the same axis

Views = Sequence[Rigid]  # camera -> frame of the answers, one or more


class PelvisMemory:
    """A Kalman filter a person: position and velocity in the frame of the answers."""

    def __init__(self, searching_s: float = 0.5) -> None:
        """People out of sight are answered for `searching_s` seconds more; negative: not at all."""
        self.searching_s = searching_s
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._people: dict[int, PelvisFilter] = {}
        self._stamp_ns: int | None = None

    def __call__(
        self, stamp_ns: int, humans: list[Human], camera: Camera, target_camera: Rigid | None = None
    ) -> list[Human]:
        """The people of one frame with their `pelvis`, then those who are missed, in state SEARCHING.

        `humans` are in the camera's frame, or moved by `target_camera` (camera -> their frame).
        """
        view = target_camera or Rigid()
        self._advance(stamp_ns)
        seen = [self._observe(h, view) for h in humans]
        present = {h.track_id for h in humans}
        missed = [p for i, p in self._people.items() if i not in present and self._is_missed(p, humans)]
        kept = present | {p.last.track_id for p in missed}
        self._people = {i: p for i, p in self._people.items() if i in kept}
        return seen + [p.expected(stamp_ns, camera, view) for p in missed]

    def _advance(self, stamp_ns: int) -> None:
        seconds = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 <= seconds <= _MAX_GAP_S:
            self.reset()
            seconds = 0.0
        self._stamp_ns = stamp_ns
        for person in self._people.values():
            person.predict(seconds)

    def _observe(self, human: Human, view: Rigid) -> Human:
        person = self._people.get(human.track_id)
        if person is None:
            person = self._people[human.track_id] = PelvisFilter(human, (view,))
        else:
            person.observe(human, (view,))
        return replace(human, pelvis=person.state((view,)))

    def _is_missed(self, person: PelvisFilter, humans: list[Human]) -> bool:
        if person.age < _ESTABLISHED or person.unseen_s > self.searching_s:
            return False
        return all(np.linalg.norm(between_hips(h) - person.position) > _SAME_PLACE_M for h in humans)


class PelvisFilter:
    """One person; `views` are the places, in the frame of the answers, of the cameras that see them."""

    def __init__(self, human: Human, views: Views) -> None:
        self._x = np.r_[between_hips(human), np.zeros(3)]
        noise = position_noise(human, views)
        self._P = np.zeros((6, 6))
        self._P[:3, :3], self._P[3:, 3:] = noise, _FIRST_SPEED**2 * np.eye(3)
        self._turn, self._turn_variance = np.zeros(3), _TURN_RATE**2  # rad/s and its variance, any axis
        self.unseen_s = 0.0  # seconds since the person was last seen
        self._take(human, body_rotation(human), noise)
        self.age = 1

    @property
    def position(self) -> Floats:
        """Between the hips [3] m, at present."""
        return self._x[:3]

    @property
    def position_covariance(self) -> Floats:
        """[3,3] m^2, of `position`."""
        return self._P[:3, :3]

    def predict(self, seconds: float) -> None:
        """Move on in time."""
        F = np.eye(6)
        F[:3, 3:] = seconds * np.eye(3)
        self._x, self._P = F @ self._x, F @ self._P @ F.T
        place, both, speed = seconds**4 / 4, seconds**3 / 2, seconds**2
        self._P[_DIAGONAL] += _ACCELERATION**2 * np.array([place, place, place, speed, speed, speed])
        self._P[_CROSS] += _ACCELERATION**2 * both
        self._turn_variance += (_TURN * seconds) ** 2
        self.unseen_s += seconds

    def observe(self, human: Human, views: Views) -> None:
        """The person was seen."""
        noise = position_noise(human, views)
        gain = self._P[:, :3] @ np.linalg.inv(self._P[:3, :3] + noise)
        self._x = self._x + gain @ (between_hips(human) - self._x[:3])
        P = self._P - gain @ self._P[:3]
        self._P = (P + P.T) / 2
        rotation = body_rotation(human)
        if self.unseen_s > 0:
            measured = rotation_vector_of(rotation @ self._rotation.T) / self.unseen_s
            jitter = 2 * (_TURN_JITTER / self.unseen_s) ** 2
            share = self._turn_variance / (self._turn_variance + jitter)
            self._turn = self._turn + share * (measured - self._turn)
            self._turn_variance *= 1 - share
        self._take(human, rotation, noise)
        self.age += 1

    def state(self, views: Views) -> PelvisState:
        """At present: where the person was seen, or is expected; the velocity is always the filter's.

        The covariances know that a wrong scale moves the position along the line of sight and scales the velocity.
        """
        seen = self.unseen_s == 0
        position = between_hips(self.last) if seen else self._x[:3].copy()
        P = self._noise if seen else self._P[:3, :3]
        scale, speed = _scale_sigma(self.last), self._x[3:]
        pose, velocity = np.zeros((6, 6)), np.zeros((6, 6))
        pose[:3, :3] = P + _scale_covariance(scale, position, views)
        velocity[:3, :3] = self._P[3:, 3:] + scale**2 * np.outer(speed, speed)
        turned = _turn_noise(self.last) ** 2 + self._turn_variance * self.unseen_s**2
        pose[3:, 3:] = turned * np.eye(3)
        velocity[3:, 3:] = self._turn_variance * np.eye(3)
        return PelvisState(position, self._rotation, np.r_[speed, self._turn], pose, velocity)

    def expected(self, stamp_ns: int, camera: Camera, view: Rigid) -> Human:
        """The person out of sight: the last pose, carried on at the last speed."""
        human = self.last
        shift = self._x[:3] - between_hips(human)
        joints = human.joints + shift
        joints_2d, before = (
            distort_points(project(_in_front(view.inverse(j)), camera.K), camera) for j in (joints, human.joints[:1])
        )
        keypoints = np.c_[human.keypoints_2d[:, :2], np.zeros(len(human.keypoints_2d))]
        box = human.boxes_xyxy + np.tile(joints_2d[0] - before[0], 2)
        limit = np.tile([camera.width - 1.0, camera.height - 1.0], 2)
        grown = human.joint_sigma + _LEAST_TURN * self.unseen_s
        covariance = human.joint_covariance * np.square(grown / np.maximum(human.joint_sigma, 1e-6))[:, None]
        return replace(
            human, stamp_ns=stamp_ns, state=TrackingState.SEARCHING, joints=joints, transl=human.transl + shift,
            joints_2d=joints_2d, keypoints_2d=keypoints, boxes_xyxy=np.clip(box, 0, limit), joint_covariance=covariance,
            hypotheses=None, K=camera.K, pelvis=self.state((view,)),
        )  # fmt: skip

    def _take(self, human: Human, rotation: Floats, noise: Floats) -> None:
        self.last, self._rotation, self._noise, self.unseen_s = human, rotation, noise, 0.0


def position_covariance(human: Human, views: Views) -> Floats:
    """Covariance [3,3] m^2 of the hips' position in one frame: noise, and a wrong scale along the lines of sight."""
    return np.asarray(position_noise(human, views) + _scale_covariance(_scale_sigma(human), between_hips(human), views))


def position_noise(human: Human, views: Views) -> Floats:
    """Covariance [3,3] m^2 of the hips' position from one frame to the next; cameras' noise is independent."""
    information = np.zeros((3, 3))
    for view in views:
        ray = between_hips(human) - view.translation
        distance = float(np.linalg.norm(ray))
        along = np.outer(ray, ray) / max(distance, 1e-6) ** 2
        noise: Floats = distance**2 * (_ACROSS**2 * (np.eye(3) - along) + _ALONG**2 * along)
        information += np.linalg.inv(noise + 1e-8 * np.eye(3))
    return np.asarray(np.linalg.inv(information))


def _scale_covariance(scale: float, position: Floats, views: Views) -> Floats:
    rays = np.array([position - view.translation for view in views])
    return np.asarray(scale**2 * rays.T @ rays / len(rays))


def _scale_sigma(human: Human) -> float:
    seen = (human.keypoints_2d[_HIP_LANDMARKS, 2] >= _SEEN).any()
    return _SCALE[human.scale] if seen else max(_SCALE_UNSEEN, _SCALE[human.scale])


def _turn_noise(human: Human) -> float:
    """One standard deviation, rad, of the body's orientation."""
    hips = human.joint_sigma[[SMPL["left_hip"], SMPL["right_hip"]]]
    return float(np.hypot(_LEAST_TURN, hips.mean() / _HIP_M))


def _in_front(points: Floats) -> Floats:
    """Points with a depth that can be projected."""
    return np.c_[points[:, :2], np.maximum(points[:, 2], 0.05)]
