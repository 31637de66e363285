"""Several people in one scene: who stands or goes where, and how much of each of them can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.errors import ConfigError
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import Motion
from hmr_ros.synth.depth import floor_height
from hmr_ros.synth.scene import View, look_at, view_of_motion
from hmr_ros.types import Bools, Camera, Floats, Ints
from hmr_ros.view.raster import mesh_depth

_NEAREST_M, _FARTHEST_M = 2.8, 7.0  # from the camera
_SPEED_M_S = 1.4  # of people who go somewhere
_SWAY_M = 0.25  # how far the others move from their place
_APART_M = 0.7
_HIDDEN_M = 0.1  # a surface so far before a joint is not the joint's own skin
_SILHOUETTE_PX = 96  # of the image on which a whole silhouette is counted


@dataclass(frozen=True)
class Spot:
    """Where a person is over time, in the y-up world: x to the camera's right, z towards the camera."""

    x: Floats  # [F] m
    z: Floats  # [F] m
    yaw: float  # rad, turns the person's mean direction from +z towards +x


@dataclass(frozen=True)
class Stage:
    """What arrangements are made from; the camera stands `distance` m before z = 0."""

    count: int
    seconds: Floats  # [F]
    distance: float
    slope: float  # half the image's width, m a metre of depth
    rng: np.random.Generator


def _side_by_side(stage: Stage) -> list[Spot]:
    return [
        _standing(stage, (k - (stage.count - 1) / 2) * _APART_M, stage.rng.uniform(-0.15, 0.15))
        for k in range(stage.count)
    ]


def _crowd(stage: Stage) -> list[Spot]:
    """Anywhere in view, nobody nearer to another than they can stand."""
    placed: list[tuple[float, float]] = []
    while len(placed) < stage.count:
        away = stage.rng.uniform(_NEAREST_M, _FARTHEST_M)
        x, z = stage.rng.uniform(-0.85, 0.85) * stage.slope * away, stage.distance - away
        if all(np.hypot(x - a, z - b) > _APART_M for a, b in placed):
            placed.append((float(x), float(z)))
    return [_standing(stage, x, z) for x, z in placed]


def _standing(stage: Stage, x: float, z: float) -> Spot:
    away = stage.rng.random() < 0.3  # seen from behind
    yaw = stage.rng.normal(np.pi if away else 0.0, 0.6)
    return Spot(np.full(len(stage.seconds), x), np.full(len(stage.seconds), z), float(yaw))


def _crossing(stage: Stage) -> list[Spot]:
    """In turn to the right and to the left, the next one always farther away; all meet in the middle of the time."""
    signs = [1.0 if k % 2 == 0 else -1.0 for k in range(stage.count)]
    return [_going(stage, sign, -_APART_M * k, 0.0) for k, sign in enumerate(signs)]


def _following(stage: Stage) -> list[Spot]:
    """One behind the other to the right, a little farther away each, so that they overlap."""
    return [_going(stage, 1.0, -0.3 * k, -0.55 * k) for k in range(stage.count)]


def _going(stage: Stage, sign: float, z: float, ahead: float) -> Spot:
    """Through the middle of the image, from beyond one side to beyond the other where there is time for it."""
    middle = stage.seconds - stage.seconds[-1] / 2
    edge = stage.slope * (stage.distance - z) + 0.4
    speed = min(_SPEED_M_S, 2 * edge / max(float(stage.seconds[-1]), 1e-9))
    return Spot(sign * (speed * middle + ahead), np.full(len(middle), z), sign * np.pi / 2)


PLACES: dict[str, Callable[[Stage], list[Spot]] | None] = {
    "own": None,  # where the motions themselves put them
    "crossing": _crossing,
    "side-by-side": _side_by_side,
    "crowd": _crowd,
    "following": _following,
}


def arranged(
    motions: list[Motion],
    body: BodyModel,
    place: str,
    camera: Camera,
    seed: int,
    tilt: tuple[float, float] | None = None,
) -> tuple[list[Motion], View]:
    """The motions at their places in one world, equally long, everybody on the floor at y = 0, and who sees them; the
    camera `tilt`ed as in `view_of_motion`.

    The first person keeps the shape of its motion, the others, where their motions have the mean shape, get their own.
    """
    if place not in PLACES:
        raise ConfigError(f"--place '{place}' is unknown; choose from {', '.join(PLACES)}")
    rng = np.random.default_rng([seed, len(motions)])
    motions = _alike(motions, rng)
    build = PLACES[place]
    if build is None:
        floor = 0.0 if tilt is None else min(floor_height(m, body) for m in motions)
        return motions, view_of_motion(np.concatenate([m.trans for m in motions]), camera, seed, tilt, floor)
    if tilt is not None:
        raise ConfigError("--pitch and --roll go with --place own; leave one of them out")
    slope = camera.width / (2 * float(camera.K[0, 0]))
    distance = float(np.clip(1.6 * camera.K[1, 1] / (0.7 * camera.height), _NEAREST_M + 0.5, _FARTHEST_M - 1.0))
    seconds = np.arange(len(motions[0].poses)) / motions[0].fps
    spots = build(Stage(len(motions), seconds, distance, slope, rng))
    eye = np.array([0.0, rng.uniform(1.2, 1.8), distance])
    view = look_at(camera, eye, np.array([0.0, 0.95, 0.0]))
    return [_moved(m, s, body) for m, s in zip(motions, spots, strict=True)], view


def _alike(motions: list[Motion], rng: np.random.Generator) -> list[Motion]:
    """The frame rate of the first, the length of the shortest, own shapes."""
    fps = motions[0].fps
    seconds = min(len(m.poses) / m.fps for m in motions)
    at = np.arange(max(1, round(seconds * fps))) / fps
    out = []
    for k, motion in enumerate(motions):
        rows = np.minimum(np.round(at * motion.fps).astype(int), len(motion.poses) - 1)
        own = k > 0 and not motion.betas.any()
        betas = np.clip(rng.normal(0.0, 0.7, 10), -2, 2) if own else motion.betas
        out.append(Motion(motion.poses[rows], motion.trans[rows], betas, fps))
    return out


def _moved(motion: Motion, spot: Spot, body: BodyModel) -> Motion:
    """The motion on the floor at its spot, its own way shrunk to a sway."""
    roots = matrix_from_axis_angle(motion.poses[:, :3])
    front = roots[..., 2].mean(0)
    yaw = spot.yaw - np.arctan2(front[0], front[2])
    turn = matrix_from_axis_angle(np.array([0.0, yaw, 0.0]))
    pelvis = body.rest_joints(motion.betas)[0]
    way = (motion.trans + pelvis) @ turn.T
    way -= [way[:, 0].mean(), floor_height(motion, body), way[:, 2].mean()]
    reach = float(np.linalg.norm(way[:, [0, 2]], axis=1).max())
    way[:, [0, 2]] *= min(1.0, _SWAY_M / max(reach, 1e-9))
    place = way + np.stack([spot.x, np.zeros(len(way)), spot.z], 1)
    poses = motion.poses.copy()
    poses[:, :3] = axis_angle_from_matrix(turn @ roots)
    return replace(motion, poses=poses, trans=place - pelvis)


def seen_of(joints: list[Floats], vertices: list[Floats], faces: Ints, camera: Camera) -> list[tuple[Bools, float]]:
    """What a camera sees of each person in one image: which joints [24] lie in it with nobody else before them, and
    the share of the person's whole silhouette that is in the image and before everybody else.

    `joints` [24,3] m and `vertices` [V,3] m of each, camera frame. A joint behind the person's own body counts as seen.
    """
    if len(joints) == 1 and _inside(vertices[0], camera).all():  # nobody hides anything, and nothing is cut off
        return [(_inside(joints[0], camera), 1.0)]
    width, height = camera.width, camera.height
    depths = np.array([mesh_depth(v, faces, camera.K, width, height) for v in vertices])
    depths = np.where(np.isnan(depths), np.inf, depths)
    nearest = depths.min(0)
    out = []
    for k, (own, mesh) in enumerate(zip(joints, vertices, strict=True)):
        others = np.delete(depths, k, 0).min(0, initial=np.inf)
        inside = _inside(own, camera)
        x, y = np.round(np.where(inside[:, None], project(own, camera.K), 0)).astype(int).T
        visible = inside & (others[y, x] > own[:, 2] - _HIDDEN_M)
        shown = int((np.isfinite(depths[k]) & (depths[k] <= nearest)).sum())
        out.append((visible, min(1.0, shown / max(silhouette_px(mesh, faces, camera.K), 1.0))))
    return out


def _inside(points: Floats, camera: Camera) -> Bools:
    """Which of the points [N,3] m lie in the image."""
    px = project(points, camera.K)  # NaN behind the camera
    with np.errstate(invalid="ignore"):
        return np.asarray(((px >= 0) & (px <= [camera.width - 1, camera.height - 1])).all(1))


def silhouette_px(vertices: Floats, faces: Ints, K: Floats) -> float:
    """Pixels that a mesh would cover if the image had no border; 0 where a part of it is behind the camera."""
    if vertices[:, 2].min() <= 0:
        return 0.0
    px = project(vertices, K)
    low = px.min(0)
    scale = _SILHOUETTE_PX / float((px.max(0) - low).max())
    shrunk = np.diag([scale, scale, 1.0]) @ np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]]) @ K
    side = _SILHOUETTE_PX + 1
    return float(np.isfinite(mesh_depth(vertices, faces, shrunk, side, side)).sum()) / scale**2
