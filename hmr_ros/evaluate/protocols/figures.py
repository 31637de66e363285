"""Errors of a sequence under a protocol, and their means over all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.evaluate.crowd import boxes
from hmr_ros.evaluate.metrics import acceleration_errors, procrustes_errors, similarity
from hmr_ros.evaluate.protocols.judge import Judge, rooted
from hmr_ros.evaluate.protocols.sequence import Sequence, Subject
from hmr_ros.evaluate.tracking import box_overlap
from hmr_ros.io.results import HumansTable
from hmr_ros.types import Floats, Ints

LEAST_OVERLAP = 0.3  # of the boxes around 24 joints, for an answer to be the person's
_FAR = 1e6
_TURNED = [0, 1, 2, 4, 5, 16, 17, 18, 19]  # joints whose global rotation 3DPW and EMDB compare
_CHUNK = 100  # frames of a way that is judged at once
_LEAST_FPS = 20.0  # acceleration of a slower sequence says nothing


@dataclass
class Errors:
    """One number a found person and frame, but for acceleration and ways; lists grow sequence by sequence."""

    people: int = 0  # in the truth
    found: int = 0
    mpjpe: list[float] = field(default_factory=list)  # mm
    pa_mpjpe: list[float] = field(default_factory=list)  # mm
    pve: list[float] = field(default_factory=list)  # mm
    mpjae: list[float] = field(default_factory=list)  # deg
    pixels: list[float] = field(default_factory=list)
    acceleration: list[float] = field(default_factory=list)  # m/s^2
    w_mpjpe: list[float] = field(default_factory=list)  # mm
    wa_mpjpe: list[float] = field(default_factory=list)  # mm
    rte: list[float] = field(default_factory=list)  # percent

    def add(self, other: Errors) -> None:
        """Another sequence's."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> dict[str, Any]:
        """Means over all found people and frames; None where nothing can be compared.

        `..._over_f1`: the mean divided by the F1 score, as AGORA counts misses (Patel et al. 2021); nobody knows how
        many bystanders are people, so precision is taken as 1 and F1 = 2 recall / (1 + recall).
        """
        recall = self.found / self.people if self.people else 0.0
        f1 = 2 * recall / (1 + recall)
        names = {
            "pa_mpjpe_mm": self.pa_mpjpe, "mpjpe_mm": self.mpjpe, "pve_mm": self.pve,
            "acceleration_error_m_s2": self.acceleration, "mpjae_deg": self.mpjae, "joints_2d_px": self.pixels,
        }  # fmt: skip
        means: dict[str, Any] = {name: _mean(values) for name, values in names.items()}
        missed = {
            f"{name}_over_f1_mm": None if (mean := means[f"{name}_mm"]) is None else mean / f1
            for name in ("pa_mpjpe", "mpjpe", "pve")
        }
        ways = {"w_mpjpe_mm": self.w_mpjpe, "wa_mpjpe_mm": self.wa_mpjpe, "rte_percent": self.rte}
        return (
            {"people_in_truth": self.people, "found": self.found, "recall": recall} | means | missed
            | {name: float(np.mean(values)) for name, values in ways.items() if values}
        )  # fmt: skip


def measure(sequence: Sequence, table: HumansTable, judge: Judge, ways: bool = False) -> Errors:
    """Errors of the people of one sequence; `ways`: those in the world too."""
    errors = Errors()
    for subject, rows in zip(sequence.subjects, match(sequence.subjects, table), strict=True):
        errors.people += len(rows)
        there = rows >= 0
        errors.found += int(there.sum())
        if subject.joints_2d is not None:
            off = np.linalg.norm(table.joints_2d[rows[there]] - subject.joints_2d[there], axis=-1)
            errors.pixels += np.nanmean(off, axis=1).tolist() if len(off) else []
        errors.mpjae += _angles(subject, table, rows)
        points = _positions(errors, subject, table, judge, rows)
        if sequence.fps >= _LEAST_FPS:
            errors.acceleration += _accelerations(points, subject.frames, sequence.fps)
        if ways and subject.joints_world is not None:
            _ways(errors, subject.joints_world, table, rows)
    return errors


def match(subjects: list[Subject], table: HumansTable) -> list[Ints]:
    """For each subject the row of `table` that is the person, in each frame; -1: nobody.

    In each frame the assignment with the least mean distance of the projected joints, of those whose boxes overlap by
    0.3; where only a box is known, of those whose middle lies inside it, the nearest to its middle. Ids play no part.
    """
    out = [np.full(len(s.frames), -1, np.int64) for s in subjects]
    around = boxes(table.joints_2d)
    for frame in np.unique(np.concatenate([s.frames for s in subjects])) if subjects else []:
        rows = np.flatnonzero((table.frame == frame) & around.any(1))
        there = [(k, int(np.flatnonzero(s.frames == frame)[0])) for k, s in enumerate(subjects) if frame in s.frames]
        if not len(rows):
            continue
        cost = np.array([_distances(subjects[k], i, table.joints_2d[rows], around[rows]) for k, i in there])
        for a, b in zip(*linear_sum_assignment(np.minimum(cost, _FAR)), strict=True):
            if cost[a, b] < _FAR:
                k, i = there[a]
                out[k][i] = rows[b]
    return out


def _distances(subject: Subject, i: int, joints_2d: Floats, boxes: Floats) -> Floats:
    """Of answers [N,24,2] to the person, px or parts of the box; infinite where they are not the person's."""
    own = subject.boxes[i]
    if subject.joints_2d is not None:
        mean = np.nan_to_num(np.nanmean(np.linalg.norm(joints_2d - subject.joints_2d[i], axis=-1), axis=1), nan=np.inf)
        return np.where(box_overlap(boxes, own[None])[:, 0] >= LEAST_OVERLAP, mean, np.inf)
    off = np.abs((boxes[:, :2] + boxes[:, 2:] - own[:2] - own[2:]) / 2 / np.maximum(own[2:] - own[:2], 1e-9)).max(1)
    return np.where(off <= 0.5, off, np.inf)


def _positions(
    errors: Errors, subject: Subject, table: HumansTable, judge: Judge, rows: Ints
) -> list[tuple[Floats, Floats] | None]:
    """Adds the errors of one person's points; the points [J,3] of answer and truth, relative to the root, by frame."""
    out: list[tuple[Floats, Floats] | None] = []
    for i, row in enumerate(rows.tolist()):
        true = judge.truth(subject, i) if row >= 0 else None
        if true is None:
            out.append(None)
            continue
        found, there = rooted(judge, judge.answer(table, row)), rooted(judge, true)
        errors.mpjpe.append(_distance_mm(found[0], there[0]))
        errors.pa_mpjpe.append(float(procrustes_errors(found[0][None], there[0][None]).mean()))
        if found[1] is not None and there[1] is not None and len(found[1]) == len(there[1]):
            errors.pve.append(_distance_mm(found[1], there[1]))
        out.append((found[0], there[0]))
    return out


def _accelerations(points: list[tuple[Floats, Floats] | None], frames: Ints, fps: float) -> list[float]:
    """Mean over the joints in each frame that has both neighbours."""
    out = []
    for i in range(1, len(points) - 1):
        three = points[i - 1 : i + 2]
        if frames[i + 1] - frames[i - 1] == 2 and all(p is not None for p in three):
            found, true = (np.stack([p[k] for p in three if p is not None]) for k in (0, 1))
            out.append(float(acceleration_errors(found, true, fps).mean()))
    return out


def _angles(subject: Subject, table: HumansTable, rows: Ints) -> list[float]:
    """Mean geodesic distance of nine joints' global rotations in each frame (MPJAE), degrees."""
    there = rows >= 0
    if subject.posed is None or not there.any():
        return []
    answers = np.concatenate([table.global_orient, table.body_pose], 1)[rows[there]]
    rest = np.zeros((int(there.sum()), 24, 3))
    found, true = (
        forward_kinematics(pose_matrices(poses[:, :3], poses[:, 3:]), rest)[0][:, _TURNED]
        for poses in (answers, subject.posed.poses[there])
    )
    cosine = (np.einsum("njab,njab->nj", found, true) - 1) / 2
    mean: list[float] = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(1).tolist()
    return mean


def _ways(errors: Errors, true: Floats, table: HumansTable, rows: Ints) -> None:
    """Adds W-MPJPE, WA-MPJPE (joints of a hundred found frames, aligned by the first two or by all) and RTE (the
    pelvis' way, rigidly aligned, in percent of its length), as WHAM has them."""
    if table.R_world_camera is None or table.t_world_camera is None:
        return
    there = rows >= 0
    there[there] = np.isfinite(table.R_world_camera[rows[there]]).all((1, 2))
    R, t = table.R_world_camera[rows[there]], table.t_world_camera[rows[there]]
    found = np.einsum("nab,njb->nja", R, table.joints[rows[there]]) + t[:, None]
    true = true[there]
    for start in range(0, len(found) - 1, _CHUNK):
        a, b = found[start : start + _CHUNK], true[start : start + _CHUNK]
        errors.w_mpjpe += _aligned_mm(a, b, 2)
        errors.wa_mpjpe += _aligned_mm(a, b, _CHUNK)
    length = np.linalg.norm(np.diff(true[:, 0], axis=0), axis=-1).sum() if len(true) > 2 else 0.0
    if length > 0:
        a, b = found[:, 0], true[:, 0]
        _, turn, _ = similarity(a[None], b[None])
        off = (a - a.mean(0)) @ turn[0].T + b.mean(0) - b
        errors.rte += (100 * np.linalg.norm(off, axis=-1) / length).tolist()


def _aligned_mm(found: Floats, true: Floats, frames: int) -> list[float]:
    """Mean distance in each frame of joints [F,24,3] m after the similarity that fits the first `frames`."""
    s, R, t = similarity(found[:frames].reshape(1, -1, 3), true[:frames].reshape(1, -1, 3))
    mean: list[float] = (1000 * np.linalg.norm(s[0] * found @ R[0].T + t[0] - true, axis=-1).mean(1)).tolist()
    return mean


def _distance_mm(a: Floats, b: Floats) -> float:
    return float(1000 * np.linalg.norm(a - b, axis=-1).mean())


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
