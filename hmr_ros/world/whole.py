"""The world of a file: gravity, floor and feet from everything that was seen, before and after each frame."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.axes import body_rotation
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.types import Camera, Floats, Frame, Human, ScaleSource, WorldState
from hmr_ros.world.contact import RATE_HZ, contact_rule
from hmr_ros.world.feet import Soles
from hmr_ros.world.floor import (
    floor_under,
    height_over_feet,
    height_over_floor,
    scale_of_floor,
    scaled_betas,
    scales_of_floor,
)
from hmr_ros.world.gravity import CameraPose, Gravity, gravity_of_level, gravity_of_orientation, gravity_of_tilt
from hmr_ros.world.stand import settled
from hmr_ros.world.upright import UpEstimate
from hmr_ros.world.walk import Walk, changed, human_at, size_of, walk_of

Poses = dict[int, CameraPose | None]  # by frame; None: nobody says where the camera is

_log = logging.getLogger(__name__)
_LONGEST_GAP_S = 0.3  # out of sight, after which a walk begins anew
_DEPTHS = 20  # depth images in which the floor is looked for
_DEPTH_EVERY = 10  # frames
_VELOCITY_S = 0.1  # over which a velocity is taken, to both sides


@dataclass(frozen=True)
class _Person:
    rows: list[int]  # of the people that were given, in the order of time
    walk: Walk
    contacts: Floats  # [F,4]
    scaled: bool = False  # as large as the floor says


class DepthSamples:
    """A few depth images of a file, in which the floor is found when it is known which way is up."""

    def __init__(self) -> None:
        self._kept: list[tuple[Floats, Camera]] = []

    def add(self, frame: Frame) -> None:
        """Keep every tenth, and no more than twenty."""
        if frame.depth is not None and frame.index % _DEPTH_EVERY == 0 and len(self._kept) < _DEPTHS:
            self._kept.append((frame.depth, frame.camera))

    def height(self, up: Floats) -> float | None:
        """Height [m] of the camera over the floor; None where no image shows one."""
        found = [h for depth, camera in self._kept if (h := height_over_floor(depth, camera, up)) is not None]
        return float(np.median(found)) if found else None


def warn_of_nothing_heard(kind: str) -> None:
    """That /tf or an Imu is asked for (`world.gravity`) where neither is."""
    if kind in ("tf", "imu"):
        _log.warning(
            "world.gravity is %s, which the node and `hmr bag` alone have: people say which way is up; where the camera"
            " moves set world.gravity: none",
            kind,
        )


def given_gravity(config: HmrConfig) -> Gravity | None:
    """What the configuration says without /tf and Imu; None: people say it."""
    camera, kind = config.camera, config.world.gravity
    tilt = camera.pitch_deg, camera.roll_deg
    if kind == "parameter" or (kind not in ("estimate", "level") and (camera.orientation or any(tilt))):
        return gravity_of_orientation(camera.orientation) if camera.orientation else gravity_of_tilt(*tilt)
    return gravity_of_level() if kind == "level" else None


def gravity_of(humans: list[Human], config: HmrConfig) -> Gravity:
    """What the configuration says of it, else what people say, everybody in one camera's frame."""
    given = given_gravity(config)
    if given is not None:
        return given
    estimate = UpEstimate()
    for human in humans:
        estimate.add(human)
    return estimate.gravity()


def in_world(
    humans: list[Human], body: BodyModel, camera: Camera, config: HmrConfig, depths: DepthSamples | None = None,
    poses: Poses | None = None,
) -> list[Human]:  # fmt: skip
    """The same people with their `world`, standing feet held; in the same order. `camera` is that of all frames.

    `poses`: what a recording says of it, by frame; people of frames that are not among them get no world. Without, it
    stands still.
    """
    if not humans or config.world.gravity == "none":
        return humans
    if poses is None:
        warn_of_nothing_heard(config.world.gravity)
    rows = [i for i, h in enumerate(humans) if poses is None or h.frame in poses]
    views = _views([humans[i] for i in rows], config, {} if poses is None else poses)
    rows = [i for i, view in zip(rows, views, strict=True) if view is not None]
    if not rows:
        return humans
    seen = _placed([humans[i] for i in rows], [v for v in views if v is not None], body, camera, config, depths)
    answer = list(humans)
    for i, human in zip(rows, seen, strict=True):
        answer[i] = human
    return answer


def _views(humans: list[Human], config: HmrConfig, poses: Poses) -> list[CameraPose | None]:
    """Of the camera for each of these people; None where the world is a frame on /tf that is not known then."""
    known = [pose for pose in poses.values() if pose is not None]
    if any(pose.place for pose in known):
        found = [poses.get(h.frame) for h in humans]
        return [pose if pose is not None and pose.place is not None else None for pose in found]
    if known:  # of an Imu on a camera that stands still
        up = np.mean([pose.gravity.up for pose in known], axis=0)
        gravity = replace(known[0].gravity, up=up / np.linalg.norm(up))
    else:
        gravity = gravity_of(humans, config)
    return [CameraPose(gravity)] * len(humans)


def _placed(
    humans: list[Human], views: list[CameraPose], body: BodyModel, camera: Camera, config: HmrConfig,
    depths: DepthSamples | None,
) -> list[Human]:  # fmt: skip
    """Everybody with their `world`."""
    gravity, soles, moves = views[0].gravity, Soles(body), views[0].place is not None
    R = np.array([v.R_world_camera for v in views])
    eyes = np.array([v.eye for v in views])
    shapes = _shapes(humans)
    people = [_person(humans, rows, R, eyes, soles, shapes) for rows in tracks_of(humans)]
    measured = config.camera.height_m or (depths.height(gravity.up) if depths and not moves else None)
    if measured:
        people = [_on_floor(p, humans, measured, gravity.sigma, soles) for p in people]
    if config.world.feet != "never":
        people = [_settled(p, soles) for p in people]
    height = 0.0 if moves and views[0].has_floor else measured or _height(people)
    origin = np.array([0.0, 0.0, height])
    answer = list(humans)
    for person in people:
        velocity = _velocity(person.walk)
        for f, row in enumerate(person.rows):
            human, t = human_at(humans[row], person.walk, f, R[row], body, camera), origin + eyes[row]
            if person.scaled:
                human = replace(human, scale=ScaleSource.FLOOR)
            state = WorldState(
                R[row], t, R[row] @ human.joints[0] + t, velocity[f], person.contacts[f], views[row].gravity.source,
                views[row].gravity.sigma, views[row].frame, R[row] @ body_rotation(human),
            )  # fmt: skip
            answer[row] = replace(human, world=state)
    return answer


def tracks_of(humans: list[Human]) -> list[list[int]]:
    """Rows of each person in the order of time, cut where they were out of sight."""
    by_id: dict[int, list[int]] = {}
    for row in sorted(range(len(humans)), key=lambda r: humans[r].stamp_ns):
        by_id.setdefault(humans[row].track_id, []).append(row)
    out = []
    for rows in by_id.values():
        seconds = np.array([humans[r].stamp_ns for r in rows]) * 1e-9
        steps = np.diff(seconds)
        cuts = np.flatnonzero((steps > _LONGEST_GAP_S) | (steps <= 0)) + 1
        out += [part.tolist() for part in np.split(np.array(rows), cuts)]
    return out


def contacts_of(walk: Walk) -> Floats:
    """Probabilities [F,4] that points of the soles stand, from the whole walk, measured at 30 Hz."""
    start, end = walk.seconds[0], walk.seconds[-1]
    grid = np.linspace(start, end, max(2, round((end - start) * RATE_HZ) + 1)) if end > start else walk.seconds
    flat = np.concatenate([walk.points.reshape(len(walk), -1), walk.sight[:, :2]], 1)
    even = np.stack([np.interp(grid, walk.seconds, column) for column in flat.T], -1)
    found = contact_rule()(even[:, :12].reshape(-1, 4, 3), even[:, 12:])
    return np.stack([np.interp(walk.seconds, grid, found[:, k]) for k in range(4)], -1)


def _person(
    humans: list[Human], rows: list[int], R: Floats, eyes: Floats, soles: Soles, shapes: dict[int, Floats]
) -> _Person:
    walk = walk_of([humans[r] for r in rows], R[rows], soles, eyes[rows])
    if not any(humans[r].scale >= ScaleSource.DEPTH for r in rows):
        walk = of_one_shape(walk, shapes[humans[rows[0]].track_id], soles)
    return _Person(rows, walk, contacts_of(walk))


def _shapes(humans: list[Human]) -> dict[int, Floats]:
    """Betas [10] of each track: the mean of its second half, out of sight or not in between."""
    betas: dict[int, list[Floats]] = {}
    for human in sorted(humans, key=lambda h: h.stamp_ns):
        betas.setdefault(human.track_id, []).append(human.betas)
    return {i: np.mean(rows[len(rows) // 2 :], 0) for i, rows in betas.items()}


def of_one_shape(walk: Walk, betas: Floats, soles: Soles) -> Walk:
    """The walk of a person who has the shape `betas` [10] all the time, and is as large in the image: a shape that is
    still being learned looks like a way along the line of sight."""
    every = np.repeat(betas[None], len(walk), 0)
    ratio = size_of(soles.body, every) / size_of(soles.body, walk.betas)
    return changed(walk, soles, betas=every, pelvis=walk.eyes + ratio[:, None] * walk.sight)


def _on_floor(person: _Person, humans: list[Human], height_m: float, up_sigma: float, soles: Soles) -> _Person:
    """As large, and as far away, as the floor says; nobody moves whose distance was measured."""
    walk = person.walk
    if any(humans[r].scale >= ScaleSource.DEPTH for r in person.rows):
        return person
    seen = walk.points - walk.eyes[:, None]
    scale = scale_of_floor(scales_of_floor(seen, person.contacts, height_m), up_sigma)
    if scale is None:
        return person
    betas = np.stack([scaled_betas(soles.body, b, scale) for b in walk.betas])
    larger = changed(walk, soles, betas=betas, pelvis=walk.eyes + scale * walk.sight)
    return _Person(person.rows, larger, contacts_of(larger), scaled=True)


def _settled(person: _Person, soles: Soles) -> _Person:
    """Twice, for a way on which feet stand says better when they do."""
    walk = settled(person.walk, person.contacts, soles)
    contacts = contacts_of(walk)
    return replace(person, walk=settled(person.walk, contacts, soles), contacts=contacts)


def _height(people: list[_Person]) -> float:
    """Of the camera over the feet that stand, or over the lowest ones where none does."""
    points = np.concatenate([p.walk.points for p in people])
    found = height_over_feet(points, np.concatenate([p.contacts for p in people]))
    return found if found is not None else -floor_under(points[..., 2].min(-1))


def _velocity(walk: Walk) -> Floats:
    """[F,3] m/s of the pelvis, over a fifth of a second."""
    if len(walk) < 2:
        return np.zeros((len(walk), 3))
    before = np.maximum(walk.seconds - _VELOCITY_S, walk.seconds[0])
    after = np.minimum(walk.seconds + _VELOCITY_S, walk.seconds[-1])
    ends = [np.stack([np.interp(s, walk.seconds, c) for c in walk.pelvis.T], -1) for s in (after, before)]
    return np.asarray((ends[0] - ends[1]) / (after - before)[:, None])
