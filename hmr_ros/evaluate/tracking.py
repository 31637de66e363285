"""Metrics of following several people: CLEAR MOT, IDF1 and HOTA.

Written here and not taken from a library: TrackEval needs opencv-python, which shares its files with the headless build
that everything else uses, and motmetrics 1.4 has no HOTA and brings pandas. Definitions and tie-breaks are TrackEval's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from hmr_ros.types import Floats, Ints

_ALPHAS = np.arange(0.05, 0.99, 0.05)  # overlaps that HOTA is averaged over
_STAY = 1000.0  # what keeps a pair of the last frame together, against any overlap


@dataclass(frozen=True)
class Moment:
    """One frame: who is there, who was found, and how far they overlap."""

    true_ids: Ints  # [T]
    found_ids: Ints  # [H]
    overlap: Floats  # [T,H] 0 to 1


@dataclass(frozen=True)
class Clear:
    """Counts of CLEAR MOT (Bernardin and Stiefelhagen 2008)."""

    matched: int
    missed: int
    false: int
    switches: int

    @property
    def mota(self) -> float:
        """1 - (missed + false + switches) / people."""
        return 1 - (self.missed + self.false + self.switches) / max(self.matched + self.missed, 1)

    @property
    def recall(self) -> float:
        """Share of the people that were found."""
        return self.matched / max(self.matched + self.missed, 1)

    @property
    def precision(self) -> float:
        """Share of what was found that is a person."""
        return self.matched / max(self.matched + self.false, 1)


def clear(moments: list[Moment], least: float = 0.5) -> tuple[Clear, list[Ints]]:
    """Counts at an overlap of `least`, and the pairs [M,2] (rows of `true_ids` and `found_ids`) of each frame: as many
    as can be, those of the last frame first."""
    last: dict[int, int] = {}  # the id that each person was found as, whenever that was
    before: dict[int, int] = {}  # in the last frame
    matched = missed = false = switches = 0
    pairs = []
    for m in moments:
        if not m.overlap.size:
            missed, false = missed + len(m.true_ids), false + len(m.found_ids)
            pairs.append(np.zeros((0, 2), np.int64))
            continue
        stays = np.array([[before.get(int(t)) == int(h) for h in m.found_ids] for t in m.true_ids])
        score = np.where(m.overlap >= least - 1e-12, m.overlap + _STAY * stays, 0.0)
        rows, columns = linear_sum_assignment(-score)
        kept = score[rows, columns] > 0
        rows, columns = rows[kept], columns[kept]
        before = {int(m.true_ids[t]): int(m.found_ids[h]) for t, h in zip(rows, columns, strict=True)}
        switches += sum(last.get(t, h) != h for t, h in before.items())
        last |= before
        matched, missed, false = (
            matched + len(rows), missed + len(m.true_ids) - len(rows), false + len(m.found_ids) - len(rows)
        )  # fmt: skip
        pairs.append(np.stack([rows, columns], 1))
    return Clear(matched, missed, false, switches), pairs


def idf1(moments: list[Moment], least: float = 0.5) -> float:
    """IDF1 (Ristani et al. 2016): every person is one id from the first to the last frame, the best one there is."""
    true_ids, found_ids = _ids(moments)
    T, H = len(true_ids), len(found_ids)
    together, seen_true, seen_found = np.zeros((T, H)), np.zeros(T), np.zeros(H)
    for m in moments:
        t, h = np.searchsorted(true_ids, m.true_ids), np.searchsorted(found_ids, m.found_ids)
        together[np.ix_(t, h)] += m.overlap >= least - 1e-12
        seen_true[t] += 1
        seen_found[h] += 1
    if T + H == 0:
        return 1.0
    rows, columns = linear_sum_assignment(-together)
    right = float(together[rows, columns].sum())
    return 2 * right / float(seen_true.sum() + seen_found.sum())


def hota(moments: list[Moment]) -> float:
    """HOTA (Luiten et al. 2020), mean over overlaps of 0.05 to 0.95."""
    true_ids, found_ids = _ids(moments)
    T, H = len(true_ids), len(found_ids)
    if T + H == 0:
        return 1.0
    alike, seen_true, seen_found = np.zeros((T, H)), np.zeros((T, 1)), np.zeros((1, H))
    for m in moments:  # how far two ids are the same, over the whole time
        t, h = np.searchsorted(true_ids, m.true_ids), np.searchsorted(found_ids, m.found_ids)
        sums = m.overlap.sum(0, keepdims=True) + m.overlap.sum(1, keepdims=True) - m.overlap
        alike[np.ix_(t, h)] += np.divide(m.overlap, sums, out=np.zeros_like(m.overlap), where=sums > 1e-12)
        seen_true[t, 0] += 1
        seen_found[0, h] += 1
    alignment = alike / np.maximum(seen_true + seen_found - alike, 1e-12)
    matches, missed, false = np.zeros((len(_ALPHAS), T, H)), np.zeros(len(_ALPHAS)), np.zeros(len(_ALPHAS))
    for m in moments:
        t, h = np.searchsorted(true_ids, m.true_ids), np.searchsorted(found_ids, m.found_ids)
        rows, columns = linear_sum_assignment(-alignment[np.ix_(t, h)] * m.overlap)
        for a, alpha in enumerate(_ALPHAS):
            good = m.overlap[rows, columns] >= alpha - 1e-12
            matches[a, t[rows[good]], h[columns[good]]] += 1
            missed[a] += len(t) - good.sum()
            false[a] += len(h) - good.sum()
    found = matches.sum((1, 2))
    detection = found / np.maximum(found + missed + false, 1)
    jaccard = matches / np.maximum(seen_true + seen_found - matches, 1)
    association = (matches * jaccard).sum((1, 2)) / np.maximum(found, 1)
    return float(np.sqrt(detection * association).mean())


def without_ignored(moment: Moment, ignored: Ints, least: float = 0.5) -> Moment:
    """Leave out the people at `ignored` (rows of `true_ids`), and who was found in their place."""
    rows, columns = linear_sum_assignment(-np.where(moment.overlap >= least, moment.overlap, 0.0))
    theirs = columns[np.isin(rows, ignored) & (moment.overlap[rows, columns] >= least)]
    overlap = np.delete(np.delete(moment.overlap, ignored, 0), theirs, 1)
    return Moment(np.delete(moment.true_ids, ignored), np.delete(moment.found_ids, theirs), overlap)


def box_overlap(a: Floats, b: Floats) -> Floats:
    """Intersection over union [A,B] of boxes [A,4] and [B,4] (x0, y0, x1, y1)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(x[:, 2:] - x[:, :2], 0, None).prod(-1) for x in (a, b)]
    return np.asarray(common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-12))


def _ids(moments: list[Moment]) -> tuple[Ints, Ints]:
    both = [np.concatenate([getattr(m, name) for m in moments]) for name in ("true_ids", "found_ids")]
    return np.unique(both[0]), np.unique(both[1])
