"""`hmr evaluate`: a humans.npz held against a truth.npz, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.errors import InputError
from hmr_ros.evaluate.crowd import crowd
from hmr_ros.evaluate.metrics import acceleration_errors, joint_errors, pck, procrustes_errors
from hmr_ros.evaluate.probabilistic import best_of, coverage, crps, rank
from hmr_ros.evaluate.world import world_figures
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.io.results import HumansTable, HypothesesTable, load_humans, load_hypotheses
from hmr_ros.types import Floats, Ints

_COUNTS = (1, 5, 10, 25, 100)
_FAR_PX = 1e6  # cost of a pair that no visible joint compares


def evaluate(humans_path: Path, truth_path: Path) -> dict[str, Any]:
    """Figures over all people of the truth that were found, those of following several people where the truth has
    several, and those of the distribution where covariances are there, and a hypotheses.npz beside humans.npz;
    InputError where nothing can be compared."""
    humans, truth = load_humans(humans_path), load_humans(truth_path)
    several, pairs = crowd(humans, truth) if len(np.unique(truth.track_id)) > 1 else ({}, match(humans, truth))
    if not len(pairs):
        raise InputError(f"no frame of {humans_path} has a person that {truth_path} knows; do they show one video?")
    beside = humans_path.with_name("hypotheses.npz")
    hypotheses = load_hypotheses(beside, len(humans.frame)) if beside.is_file() else None
    return (
        figures(humans, truth, pairs) | several | distribution(humans, hypotheses, truth, pairs)
        | world_figures(humans, truth, pairs)
    )  # fmt: skip


def match(humans: HumansTable, truth: HumansTable) -> Ints:
    """Row pairs [M,2] (humans, truth): in each frame the assignment with the least total 2D distance."""
    pairs: list[tuple[int, int]] = []
    for frame in np.intersect1d(humans.frame, truth.frame):
        h, t = np.flatnonzero(humans.frame == frame), np.flatnonzero(truth.frame == frame)
        difference = humans.joints_2d[h][:, None] - truth.joints_2d[t][None]
        distance = np.linalg.norm(difference, axis=-1)  # NaN where a joint is behind the camera
        count = np.isfinite(distance).sum(-1)
        cost = np.where(count > 0, np.nansum(distance, axis=-1) / np.maximum(count, 1), _FAR_PX)
        rows, columns = linear_sum_assignment(cost)
        pairs += zip(h[rows].tolist(), t[columns].tolist(), strict=True)
    return np.array(pairs, np.int64).reshape(-1, 2)


def figures(humans: HumansTable, truth: HumansTable, pairs: Ints) -> dict[str, Any]:
    """The metrics over matched rows. `recall` is the share of the truth's rows that found a partner, `extra_people`
    counts rows without one in frames that the truth knows; what cannot be computed is None."""
    h, t = pairs.T
    predicted, true = humans.joints[h], truth.joints[t]
    errors = joint_errors(predicted, true)
    limb_errors = joint_errors(predicted[:, SMPL_LIMBS], true[:, SMPL_LIMBS], root=slice(0, 2))
    aligned_limbs = procrustes_errors(predicted[:, SMPL_LIMBS], true[:, SMPL_LIMBS])
    pixels = np.linalg.norm(humans.joints_2d[h] - truth.joints_2d[t], axis=-1)
    return {
        "people_in_truth": len(truth.frame),
        "matched": len(pairs),
        "recall": len(pairs) / len(truth.frame),
        "extra_people": int(np.isin(humans.frame, truth.frame).sum()) - len(pairs),
        "mpjpe_mm": float(errors.mean()),
        "mpjpe_limbs_mm": float(limb_errors.mean()),
        "pa_mpjpe_mm": float(procrustes_errors(predicted, true).mean()),
        "pa_mpjpe_limbs_mm": float(aligned_limbs.mean()),
        "pa_mpjpe_limbs_median_mm": float(np.median(aligned_limbs.mean(-1))),
        "pve_mm": _vertex_error(humans, truth, pairs),
        "acceleration_error_m_s2": _acceleration(humans, truth, pairs),
        "pck150": pck(errors),
        "joints_2d_px": float(np.nanmean(pixels)) if np.isfinite(pixels).any() else None,
        "translation_mm": float(1000 * np.linalg.norm(predicted[:, 0] - true[:, 0], axis=-1).mean()),
    }


def distribution(
    humans: HumansTable, hypotheses: HypothesesTable | None, truth: HumansTable, pairs: Ints
) -> dict[str, Any]:
    """Coverage of the 68 and 95 % ellipsoids of `joint_covariance` (23 joints relative to the pelvis), Spearman's
    correlation of sigma with the error; of hypotheses CRPS, and PA-MPJPE of the best of 1, 5, 10, 25 and so on."""
    h, t = pairs.T
    true = truth.joints[t] - truth.joints[t, :1]
    out: dict[str, Any] = {}
    if humans.joint_covariance is not None:
        errors = (humans.joints[h] - humans.joints[h, :1] - true)[:, 1:]
        covariance = unpacked(humans.joint_covariance[h])[:, 1:]
        out |= {f"coverage_{round(100 * s)}": coverage(errors, covariance, s) for s in (0.68, 0.95)}
        out["sigma_error_spearman"] = rank(errors, covariance)
    if hypotheses is not None and hypotheses.weights.shape[1]:
        samples = hypotheses.joints[h].astype(np.float64)
        out["crps_mm"] = crps((samples - samples[:, :, :1])[:, :, 1:], true[:, 1:])
        found = best_of(samples[:, :, SMPL_LIMBS], true[:, SMPL_LIMBS], _COUNTS)
        out |= {f"pa_mpjpe_limbs_best_of_{n}_mm": value for n, value in found.items()}
    return out


def print_report(result: dict[str, Any], json_path: Path | None = None) -> None:
    """Print the table; write the same as JSON where a path is given."""
    for name, value in result.items():
        shown = "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        print(f"{name:<28} {shown:>12}")
    if json_path:
        try:
            json_path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {json_path}: {error.strerror}") from error


def _vertex_error(humans: HumansTable, truth: HumansTable, pairs: Ints) -> float | None:
    """Mean vertex distance mm with coinciding pelvis; None where the two bodies have no vertices in common.

    Only the open body is at hand here; the truth may be of another body if it brings vertices, as many as ours.
    """
    body = load_body()
    if humans.body_model != body.name:
        return None
    if truth.vertices is None and truth.body_model != body.name:
        return None
    if truth.vertices is not None and truth.vertices.shape[1] != len(body.v_template):
        return None
    sample = pairs[:: max(1, len(pairs) // 100)]  # a hundred poses fix the mean to well under a millimetre
    total = []
    for h, t in sample.tolist():
        true = truth.vertices[t] if truth.vertices is not None else _vertices(body, truth, t)
        total.append(_rooted(_vertices(body, humans, h), humans.joints[h]) - _rooted(true, truth.joints[t]))
    return float(1000 * np.linalg.norm(np.stack(total), axis=-1).mean())


def _vertices(body: Any, table: HumansTable, row: int) -> Floats:
    return np.asarray(
        body.vertices(table.global_orient[row], table.body_pose[row], table.betas[row], table.transl[row])
    )


def _rooted(vertices: Floats, joints: Floats) -> Floats:
    return vertices - joints[0]


def _acceleration(humans: HumansTable, truth: HumansTable, pairs: Ints) -> float | None:
    """Mean over all runs of three and more consecutive frames of one track, root-aligned; None if there is none."""
    total: list[Floats] = []
    seconds = np.diff(np.unique(truth.stamp_ns)) * 1e-9
    fps = 1.0 / float(np.median(seconds)) if len(seconds) else 30.0
    key = [(int(humans.track_id[h]), int(truth.track_id[t])) for h, t in pairs]
    for person in sorted(set(key)):
        rows = pairs[[k == person for k in key]]
        rows = rows[np.argsort(truth.frame[rows[:, 1]])]
        for run in np.split(rows, np.flatnonzero(np.diff(truth.frame[rows[:, 1]]) != 1) + 1):
            if len(run) >= 3:
                a = humans.joints[run[:, 0]] - humans.joints[run[:, 0], :1]
                b = truth.joints[run[:, 1]] - truth.joints[run[:, 1], :1]
                total.append(acceleration_errors(a, b, fps).reshape(-1))
    return float(np.concatenate(total).mean()) if total else None
