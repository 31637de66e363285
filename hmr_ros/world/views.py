"""The world of a person whom several cameras saw: one for calibrated views, else one a view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.axes import body_rotation, moved
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.types import Camera, GravitySource, Human
from hmr_ros.world.gravity import PARAMETER_SIGMA, CameraPose, Gravity
from hmr_ros.world.whole import Poses, gravity_of, in_world

# a world whose z is up <- one in which another axis is
UPRIGHT = {
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
    "y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
}


@dataclass(frozen=True)
class SeenFrom:
    """One view: the person over time, in the camera's frame."""

    humans: list[Human]
    camera: Camera
    place: Rigid | None = None  # camera frame -> the calibration's world; None: nobody knows


def in_one_world(views: list[SeenFrom], body: BodyModel, config: HmrConfig, up: str = "") -> list[list[Human]]:
    """The people of each view with their `world`, standing feet held.

    `up`: the axis (key of `UPRIGHT`) of the calibration's world that is up; then people stand in that world, with z up.
    Without, the configuration says how the first camera is tilted, or people do, and the world is the first camera's.
    Views without a place have a world each, in which feet are not held, for the views share the pose.
    """
    if config.world.gravity == "none":
        return [view.humans for view in views]
    places = [view.place for view in views if view.place is not None]
    if len(places) < len(views):
        first = with_values(config, {"world.feet": "never"})
        kind = config.world.gravity if config.world.gravity == "level" else "estimate"
        other = with_values(first, {"world.gravity": kind, "camera.height_m": 0.0})
        return [in_world(v.humans, body, v.camera, other if k else first) for k, v in enumerate(views)]
    if up:
        turn = Rigid(UPRIGHT[up])
        source, sigma = GravitySource.PARAMETER, PARAMETER_SIGMA
    else:
        gravity = gravity_of(views[0].humans, config)
        turn = Rigid(gravity.R_world_camera) @ places[0].inverse
        source, sigma = gravity.source, gravity.sigma
    placed = [turn @ place for place in places]
    poses = [CameraPose(Gravity(p.rotation[2], source, sigma), p, has_floor=bool(up)) for p in placed]
    return _shared(views, poses, body, config)


def _shared(views: list[SeenFrom], poses: list[CameraPose], body: BodyModel, config: HmrConfig) -> list[list[Human]]:
    """Everybody in one world: each frame as the first view that has it shows the person, and the others likewise."""
    first: dict[int, tuple[Human, CameraPose]] = {}
    for view, pose in reversed(list(zip(views, poses, strict=True))):
        first |= {h.frame: (h, pose) for h in view.humans}
    frames = sorted(first)
    by_frame: Poses = {frame: first[frame][1] for frame in frames}
    seen = in_world([first[f][0] for f in frames], body, views[0].camera, config, poses=by_frame)
    settled = dict(zip(frames, seen, strict=True))
    return [
        [
            _from(human, settled[human.frame], by_frame[human.frame], pose, view.camera)
            for human in view.humans
        ]
        for view, pose in zip(views, poses, strict=True)
    ]  # fmt: skip


def _from(human: Human, settled: Human, there: CameraPose | None, here: CameraPose, camera: Camera) -> Human:
    """`human` with the body, place and world of `settled`, which is in the frame of the camera `there`."""
    assert there is not None and there.place is not None and here.place is not None and settled.world is not None
    body = moved(settled, here.place.inverse @ there.place)
    shown = replace(
        human, betas=body.betas, body_pose=body.body_pose, global_orient=body.global_orient, joints=body.joints,
        transl=body.transl, joint_covariance=body.joint_covariance, hypotheses=body.hypotheses, scale=body.scale,
        joints_2d=distort_points(project(body.joints, camera.K), camera),
    )  # fmt: skip
    R, root = here.place.rotation, settled.world.root
    world = replace(
        settled.world, R_world_camera=R, t_world_camera=root - R @ body.joints[0], body_axes=R @ body_rotation(shown)
    )
    return replace(shown, world=world)
