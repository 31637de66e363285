"""Several people against their truth: who was found, followed and mixed up, and how well those who stand behind others
were recovered."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evaluate.tracking import Moment, box_overlap, clear, hota, idf1, without_ignored
from hmr_ros.io.results import HumansTable
from hmr_ros.types import Bools, Floats, Ints

_LEAST_SHARE = 1 / 3  # of a silhouette that must be visible for the person to be missed
_SAME_PLACE = 0.5  # overlap of boxes from which a found person is the true one
_TWICE = 0.8  # overlap of two found people who are one
_LEAST_JOINTS = 4  # visible ones that make a part of somebody; of whom fewer are visible the whole box counts
_FLESH = 0.05  # sides of the whole box around joints


def crowd(humans: HumansTable, truth: HumansTable) -> tuple[dict[str, Any], Ints]:
    """Figures of a truth with several people, and the row pairs [M,2] (humans, truth) of those who were found.

    Where the truth says which joints are visible, a found person is held against the visible part of each true one
    (`visible_overlap`): where the rest is nobody can see. `recall_whole`, `precision_whole` and `idf1_whole` are the
    same with boxes around all 24 joints, in the image or not. People of whom less than a third is visible may be found
    or not: who is found in their place counts nowhere. `missed` counts the others; `reported_twice` pairs of found
    people whose boxes overlap by more than 0.8.
    """
    parts, wholes, rows, twice = [], [], [], 0
    hardly_seen = ~_to_be_found(truth)
    for frame in np.unique(truth.frame):
        h, t = np.flatnonzero(humans.frame == frame), np.flatnonzero(truth.frame == frame)
        found = boxes(humans.joints_2d[h])
        twice += int((np.triu(box_overlap(found, found), 1) > _TWICE).sum())
        ids, ignored = (truth.track_id[t], humans.track_id[h]), np.flatnonzero(hardly_seen[t])
        whole = Moment(*ids, box_overlap(boxes(truth.joints_2d[t]), found))
        visible = None if truth.visible is None else truth.visible[t]
        part = whole
        if visible is not None:
            part = Moment(*ids, visible_overlap(truth.joints_2d[t], visible, humans.joints_2d[h]))
        parts.append(without_ignored(part, ignored, _SAME_PLACE))
        wholes.append(without_ignored(whole, ignored, _SAME_PLACE))
        rows.append((h, t, part))
    _, matched = clear([part for _, _, part in rows], _SAME_PLACE)
    pairs = [np.stack([h[p[:, 1]], t[p[:, 0]]], 1) for (h, t, _), p in zip(rows, matched, strict=True)]
    found_pairs = np.concatenate(pairs)
    return _figures(parts, wholes, twice) | _occlusion(humans, truth, found_pairs), found_pairs


def visible_overlap(truth: Floats, visible: Bools, found: Floats) -> Floats:
    """Intersection over union [T,H] of boxes around the visible joints [T,24] of true people [T,24,2] px, and around
    the same joints of found ones [H,24,2] px, with flesh around them."""
    out = np.zeros((len(truth), len(found)))
    whole = boxes(truth)
    margins = _FLESH * (whole[:, 2:] - whole[:, :2]).max(1, initial=0.0)
    for i, (joints, seen) in enumerate(zip(truth, visible, strict=True)):
        rows = seen if seen.sum() >= _LEAST_JOINTS else np.ones_like(seen)
        around = margins[i] * np.array([-1.0, -1.0, 1.0, 1.0])
        out[i] = box_overlap(boxes(joints[None, rows]) + around, boxes(found[:, rows]) + around)[0]
    return out


def boxes(joints_2d: Floats) -> Floats:
    """Boxes [N,4] (x0, y0, x1, y1) px around joints [N,J,2] px; empty where all of them are behind the camera."""
    known = np.isfinite(joints_2d)
    low = np.where(known, joints_2d, np.inf).min(1, initial=np.inf)
    high = np.where(known, joints_2d, -np.inf).max(1, initial=-np.inf)
    both = np.concatenate([low, high], 1)
    return np.where(np.isfinite(both).all(1, keepdims=True), both, 0.0)


def _to_be_found(truth: HumansTable) -> Bools:
    if truth.visible_share is None:
        return np.ones(len(truth.frame), np.bool_)
    return np.asarray(truth.visible_share >= _LEAST_SHARE)


def _figures(parts: list[Moment], wholes: list[Moment], twice: int) -> dict[str, Any]:
    counts, whole = clear(parts, _SAME_PLACE)[0], clear(wholes, _SAME_PLACE)[0]
    return {
        "crowd_recall": counts.recall,
        "crowd_precision": counts.precision,
        "missed": counts.missed,
        "false_people": counts.false,
        "reported_twice": twice,
        "identity_switches": counts.switches,
        "idf1": idf1(parts, _SAME_PLACE),
        "mota": counts.mota,
        "hota": hota(parts),
        "recall_whole": whole.recall,
        "precision_whole": whole.precision,
        "idf1_whole": idf1(wholes, _SAME_PLACE),
    }


def _occlusion(humans: HumansTable, truth: HumansTable, pairs: Ints) -> dict[str, Any]:
    """PA-MPJPE mm of the limb joints, apart for people all of whose limb joints are visible and for the others."""
    if truth.visible is None:
        return {}
    h, t = pairs.T
    errors = procrustes_errors(humans.joints[h][:, SMPL_LIMBS], truth.joints[t][:, SMPL_LIMBS]).mean(1)
    whole = truth.visible[t][:, SMPL_LIMBS].all(1)
    return {
        f"pa_mpjpe_limbs_{name}_mm": float(errors[rows].mean()) if rows.any() else None
        for name, rows in (("clear", whole), ("occluded", ~whole))
    }
