"""Several people against their truth: who was found, followed and mixed up, and how well those who stand behind others
were recovered."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evaluate.tracking import Clear, Moment, box_overlap, clear, hota, idf1, without_ignored
from hmr_ros.io.results import HumansTable
from hmr_ros.types import Bools, Floats, Ints

_LEAST_SHARE = 1 / 3  # of a silhouette that must be visible for the person to be missed
_SAME_PLACE = 0.5  # overlap of boxes from which a found person is the true one
_TWICE = 0.8  # overlap of two found people who are one


def crowd(humans: HumansTable, truth: HumansTable) -> tuple[dict[str, Any], Ints]:
    """Figures of a truth with several people, and the row pairs [M,2] (humans, truth) of those who were found.

    A box holds the 24 joints in the image. People of whom less than a third is visible may be found or not. `missed`
    counts the others; `reported_twice` pairs of found people whose boxes overlap by more than 0.8.
    """
    moments, rows, pairs, twice = [], [], [], 0
    hardly_seen = ~_to_be_found(truth)
    for frame in np.unique(truth.frame):
        h, t = np.flatnonzero(humans.frame == frame), np.flatnonzero(truth.frame == frame)
        found = boxes(humans.joints_2d[h])
        twice += int((np.triu(box_overlap(found, found), 1) > _TWICE).sum())
        moment = Moment(truth.track_id[t], humans.track_id[h], box_overlap(boxes(truth.joints_2d[t]), found))
        moments.append(without_ignored(moment, np.flatnonzero(hardly_seen[t]), _SAME_PLACE))
        rows.append((h, t, moment))
    counts, _ = clear(moments, _SAME_PLACE)
    _, matched = clear([moment for _, _, moment in rows], _SAME_PLACE)
    for (h, t, _), pair in zip(rows, matched, strict=True):
        pairs.append(np.stack([h[pair[:, 1]], t[pair[:, 0]]], 1))
    found_pairs = np.concatenate(pairs)
    return _figures(counts, moments, twice) | _occlusion(humans, truth, found_pairs), found_pairs


def boxes(joints_2d: Floats) -> Floats:
    """Boxes [N,4] (x0, y0, x1, y1) px around joints [N,24,2] px; empty where all of them are behind the camera."""
    known = np.isfinite(joints_2d)
    low = np.where(known, joints_2d, np.inf).min(1, initial=np.inf)
    high = np.where(known, joints_2d, -np.inf).max(1, initial=-np.inf)
    both = np.concatenate([low, high], 1)
    return np.where(np.isfinite(both).all(1, keepdims=True), both, 0.0)


def _to_be_found(truth: HumansTable) -> Bools:
    if truth.visible_share is None:
        return np.ones(len(truth.frame), np.bool_)
    return np.asarray(truth.visible_share >= _LEAST_SHARE)


def _figures(counts: Clear, moments: list[Moment], twice: int) -> dict[str, Any]:
    return {
        "crowd_recall": counts.recall,
        "crowd_precision": counts.precision,
        "missed": counts.missed,
        "false_people": counts.false,
        "reported_twice": twice,
        "identity_switches": counts.switches,
        "idf1": idf1(moments, _SAME_PLACE),
        "mota": counts.mota,
        "hota": hota(moments),
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
