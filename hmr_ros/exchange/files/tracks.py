"""People of a humans.npz as motion in a z-up world: one skeleton and one track a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.errors import BodyModelError, InputError
from hmr_ros.io.results import HumansTable, load_humans
from hmr_ros.types import Bools, Floats
from hmr_ros.world.feet import Soles
from hmr_ros.world.floor import floor_under
from hmr_ros.world.gravity import LEVEL

MOST_FPS = 1000.0  # of a camera
_FALLBACK_FPS = 30.0  # of a single image
_REGULAR = 0.25  # of a frame that stamps may be off and still belong to a constant rate


@dataclass(frozen=True)
class Track:
    """One person over time in a z-up world, with one shape."""

    track_id: int
    fps: float  # frames a second of the source
    times: Floats  # [F] s, rising, from the start of the source
    rotations: Floats  # [F,24,3,3] in the parent's axes, the pelvis' in the world; SMPL's rest axes (y up, facing z)
    root: Floats  # [F,3] m, pelvis
    betas: Floats  # [10] mean of the track
    body: BodyModel
    measured: Bools  # [F] False: between two frames in which the person was seen

    @property
    def rest(self) -> Floats:
        """Joints [24,3] m of the T-pose."""
        return self.body.rest_joints(self.betas)

    @property
    def joints(self) -> Floats:
        """Joints [F,24,3] m in the world."""
        rest = self.rest
        posed: Floats = forward_kinematics(self.rotations, rest)[1] - rest[0] + self.root[:, None]
        return posed


def load_tracks(path: Path, body_file: str | None = None) -> tuple[list[Track], int]:
    """Everybody in a humans.npz by id, and how many rows were left out because their place in the world is not known.

    `body_file`: the SMPL file whose body the rows belong to, where it is not the open body. InputError where the file
    holds nobody or cannot be read, BodyModelError where it belongs to another body.
    """
    table = load_humans(path)
    if not len(table.frame):
        raise InputError(f"{path} holds nobody: 0 rows; nothing to convert")
    body = load_body(body_file)
    if body.name != table.body_model:
        raise BodyModelError(f"{path} belongs to body {table.body_model}, not {body.name}; name its file with --body")
    R, root = world_of(table, body)
    known = np.isfinite(R).all((1, 2)) & np.isfinite(root).all(1)
    if not known.any():
        raise InputError(f"{path}: R_world_camera and root_world hold no finite row; nothing to convert")
    fps, times = _times(table)
    rotations = pose_matrices(table.global_orient, table.body_pose)
    rotations[:, 0] = R @ rotations[:, 0]
    tracks = []
    for track_id in np.unique(table.track_id[known]):
        rows = np.flatnonzero(known & (table.track_id == track_id))
        rows = rows[np.unique(times[rows], return_index=True)[1]]  # in order of time, and once
        tracks.append(
            Track(
                int(track_id), fps, times[rows], rotations[rows], root[rows], table.betas[rows].mean(0), body,
                np.ones(len(rows), np.bool_),
            )
        )  # fmt: skip
    return tracks, int((~known).sum())


def world_of(table: HumansTable, body: BodyModel) -> tuple[Floats, Floats]:
    """Rotation camera -> z-up world [N,3,3] and pelvis in the world [N,3] m of every row.

    As the file says (`R_world_camera`, `root_world`); without them the camera is taken as level (x its way forward) and
    the floor (z = 0) as where the lowest feet of the recording stand.
    """
    R = table.R_world_camera
    if R is None:
        root = table.joints[:, 0] @ LEVEL.T
        return np.broadcast_to(LEVEL, (len(root), 3, 3)), root - [0.0, 0.0, _floor(table, body)]
    if table.root_world is not None:
        return R, table.root_world
    return R, np.einsum("nij,nj->ni", R, table.joints[:, 0])


def _floor(table: HumansTable, body: BodyModel) -> float:
    """Height [m] of the floor in the axes of a level camera."""
    pelvis = table.joints[:, 0]
    known = np.isfinite(pelvis).all(1)
    return floor_under(
        Soles(body).lowest(
            table.global_orient[known], table.body_pose[known], table.betas[known], pelvis[known], LEVEL[2]
        )
    )


def _times(table: HumansTable) -> tuple[float, Floats]:
    """Frames a second, and time [N] s of every row: by its number where the rate is constant, else by its stamp."""
    frame, first = np.unique(table.frame, return_index=True)
    stamp = (table.stamp_ns[first] - table.stamp_ns[first[0]]) * 1e-9
    if len(frame) < 2 or stamp[-1] <= 0:
        return _FALLBACK_FPS, (table.frame - frame[0]) / _FALLBACK_FPS
    period = stamp[-1] / (frame[-1] - frame[0])
    fps = round(float(1 / period), 3)
    if np.abs(stamp - (frame - frame[0]) * period).max() < _REGULAR * period and fps > 0:
        return fps, table.frame / fps
    steps = np.diff(stamp) / np.diff(frame)
    steps = steps[steps > 1 / MOST_FPS]  # images that came in one go were not taken so
    usual = float(np.median(steps)) if len(steps) else 1 / _FALLBACK_FPS
    return round(float(1 / usual), 3) or _FALLBACK_FPS, (table.stamp_ns - table.stamp_ns.min()) * 1e-9
