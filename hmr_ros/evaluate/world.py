"""Metrics of people in the world: which way is up, feet that stand, and the way that was gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.results import HumansTable
from hmr_ros.types import Bools, Floats, Ints
from hmr_ros.world.feet import Soles
from hmr_ros.world.stand import STANDS, runs

_LEAST_STANCE = 5  # frames
_WAY_FRAMES = 100  # over which drift is measured, fewer where a person was seen for less
_LEAST_FRAMES, _LEAST_WAY_M = 50, 1.0  # of a way that drift is a share of


def world_figures(humans: HumansTable, truth: HumansTable, pairs: Ints) -> dict[str, Any]:
    """Figures of matched rows [M,2], empty where one of the two tables has no world.

    `up_error_deg`: of the direction of up in the camera's frame; `root_tilt_deg`: of up in the person's own axes, both
    medians. `contact_f1`: of feet, of which heel or ball stands. `foot_slide_mm`: median over stances of the truth of
    the farthest that a heel or ball goes on the ground from where it was in the stance's middle, beside the truth's own
    `foot_slide_truth_mm`. `root_drift_percent`: by how much the pelvis misses the truth's way over the ground in 100
    frames, as a share of that way, median.
    """
    if humans.R_world_camera is None or truth.R_world_camera is None or truth.contacts is None:
        return {}
    pairs = pairs[np.isfinite(humans.R_world_camera[pairs[:, 0]]).all((1, 2))]
    if not len(pairs):
        return {}
    h, t = pairs.T
    up = [table.R_world_camera[rows, 2] for table, rows in ((humans, h), (truth, t))]  # type: ignore[index]
    down = [
        np.einsum("nba,nb->na", matrix_from_axis_angle(table.global_orient[rows]), u)
        for table, rows, u in ((humans, h, up[0]), (truth, t, up[1]))
    ]
    out: dict[str, Any] = {
        "up_error_deg": float(np.median(_angle_deg(*up))), "root_tilt_deg": float(np.median(_angle_deg(*down))),
    }  # fmt: skip
    if humans.contacts is not None:
        out["contact_f1"] = contact_f1(humans.contacts[h], truth.contacts[t])
    body = load_body()
    if humans.body_model != body.name or truth.body_model != body.name:
        return out
    soles = Soles(body)
    slides, true_slides, drifts = [], [], []
    for rows in _runs_of(humans, truth, pairs):
        found, true = (_points(table, r, soles) for table, r in ((humans, rows[:, 0]), (truth, rows[:, 1])))
        stands = truth.contacts[rows[:, 1]] > STANDS
        slides += foot_slides(found, stands)
        true_slides += foot_slides(true, stands)
        drifts += root_drifts(_roots(humans, rows[:, 0]), _roots(truth, rows[:, 1]))
    out["foot_slide_mm"] = float(np.median(slides)) if slides else None
    out["foot_slide_truth_mm"] = float(np.median(true_slides)) if slides else None
    out["root_drift_percent"] = float(np.median(drifts)) if drifts else None
    return out


def contact_f1(predicted: Floats, truth: Floats) -> float | None:
    """F1 of feet over contacts [N,4] of their heels and balls; None where no foot ever stands."""
    a, b = ((c > STANDS).reshape(-1, 2, 2).any(-1) for c in (predicted, truth))
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if b.any() else None


def foot_slides(points: Floats, stands: Bools) -> list[float]:
    """Of each stance of each point [F,4,3] m that `stands` [F,4]: how far it gets on the ground, mm, from where it is
    in the middle of the stance."""
    out = []
    for k in range(points.shape[1]):
        for rows in runs(stands[:, k]):
            if rows.stop - rows.start >= _LEAST_STANCE:
                way = points[rows, k, :2] - points[(rows.start + rows.stop) // 2, k, :2]
                out.append(float(1000 * np.linalg.norm(way, axis=-1).max()))
    return out


def root_drifts(found: Floats, truth: Floats) -> list[float]:
    """Of windows of 100 frames of pelvis [F,3] m, z up: the error of where the person got to on the ground, percent of
    the way; of people who went less than a metre none."""
    size = min(_WAY_FRAMES, len(truth))
    if size < _LEAST_FRAMES:
        return []
    out = []
    for start in range(0, len(truth) - size + 1, 10):
        rows = slice(start, start + size)
        way = float(np.linalg.norm(np.diff(truth[rows, :2], axis=0), axis=-1).sum())
        error = (found[rows][-1] - found[rows][0]) - (truth[rows][-1] - truth[rows][0])
        if way > _LEAST_WAY_M:
            out.append(100 * float(np.linalg.norm(error[:2])) / way)
    return out


def _angle_deg(a: Floats, b: Floats) -> Floats:
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def _runs_of(humans: HumansTable, truth: HumansTable, pairs: Ints) -> list[Ints]:
    """Pairs of one track and one person in consecutive frames."""
    order = np.lexsort((truth.frame[pairs[:, 1]], truth.track_id[pairs[:, 1]], humans.track_id[pairs[:, 0]]))
    pairs = pairs[order]
    key = np.stack([humans.track_id[pairs[:, 0]], truth.track_id[pairs[:, 1]], truth.frame[pairs[:, 1]]], 1)
    cuts = np.flatnonzero((np.diff(key[:, :2], axis=0) != 0).any(1) | (np.diff(key[:, 2]) != 1)) + 1
    return np.split(pairs, cuts)


def _roots(table: HumansTable, rows: Ints) -> Floats:
    assert table.R_world_camera is not None
    t = np.zeros((len(rows), 3)) if table.t_world_camera is None else table.t_world_camera[rows]
    return np.asarray(np.einsum("nab,nb->na", table.R_world_camera[rows], table.joints[rows, 0]) + t)


def _points(table: HumansTable, rows: Ints, soles: Soles) -> Floats:
    """Of the soles [F,4,3] m in the world."""
    assert table.R_world_camera is not None
    roots, out = _roots(table, rows), np.zeros((len(rows), 4, 3))
    for i, row in enumerate(rows):
        rotations = pose_matrices(table.global_orient[row], table.body_pose[row])
        rotations[0] = table.R_world_camera[row] @ rotations[0]
        axes, joints = forward_kinematics(rotations, soles.body.rest_joints(table.betas[row]))
        out[i] = soles.placed(axes, joints - joints[0] + roots[i], table.betas[row])
    return out
