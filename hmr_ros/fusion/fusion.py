"""The flow of the node `fusion`: what cameras said about one moment goes in, people in the common frame come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.body.shape import TrackShapes
from hmr_ros.fusion.bodies import BodyFusion
from hmr_ros.fusion.identities import Group, Identities, Person
from hmr_ros.fusion.sighting import Sighting, carried_on
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Human, TrackingState

_MAX_GAP_S = 5.0  # a longer jump in the stamps is another scene


@dataclass(frozen=True)
class CameraView:
    """What one camera said."""

    stamp_ns: int
    humans: Sequence[Human]  # in the camera's frame
    pose: Rigid  # camera -> common frame at that stamp


class Fusion:
    """Causal: each moment is answered from what the cameras say of it, who is known, and their shapes."""

    def __init__(self, body: BodyModel, keep_s: float = 1.5) -> None:
        """`keep_s` as in the settings."""
        self._bodies, self._identities = BodyFusion(body), Identities(keep_s)
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._identities.reset()
        self._shapes = TrackShapes()
        self._stamp_ns: int | None = None
        self.cameras: list[list[str]] = []  # who saw each person of the last moment, in no order
        self._frame = 0

    def __call__(self, stamp_ns: int, views: Mapping[str, CameraView]) -> list[Human]:
        """The people of the moment `stamp_ns`, the most certain first; `views` by camera."""
        seconds = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 <= seconds <= _MAX_GAP_S:
            self.reset()
            seconds = 0.0
        self._stamp_ns, self._frame = stamp_ns, self._frame + 1
        sightings = [
            Sighting(camera, carried_on(human, (stamp_ns - view.stamp_ns) * 1e-9), view.pose)
            for camera, view in views.items()
            for human in view.humans
        ]
        groups, searched = self._identities(sightings, seconds)
        self.cameras = [[s.camera for s in group.sightings] for group in groups]
        people = [self._answer(group, seconds) for group in groups]
        people += [self._as(p, TrackingState.SEARCHING) for p in searched]
        return sorted(people, key=lambda h: -h.score)

    def _answer(self, group: Group, seconds: float) -> Human:
        missed = group.person is not None and group.person.unseen_s > seconds
        person, new = self._identities.observed(group, self._together(group))
        if len(group.sightings) > 1:
            self._shapes.learn([person.id], person.now().betas[None], self._frame)
        if new:
            return self._as(person, TrackingState.NEW)
        return self._as(person, TrackingState.RECOVERED if missed else TrackingState.TRACKED)

    def _as(self, person: Person, state: TrackingState) -> Human:
        return replace(
            person.now(), frame=self._frame, stamp_ns=self._stamp_ns or 0, track_id=person.id, state=state,
            hypotheses=None, world=None,
        )  # fmt: skip

    def _together(self, group: Group) -> Human:
        """One camera's person is passed on as they are until several cameras have measured how large they are."""
        id = -1 if group.person is None else group.person.id
        known = self._shapes.knows(id)
        if len(group.sightings) == 1 and not known:
            return group.sightings[0].placed
        betas, sigma = self._shapes.expected([id])
        if not known:
            betas = np.mean([s.human.betas for s in group.sightings], 0)[None]
        return self._bodies(group.sightings, betas[0], float(sigma[0]))
