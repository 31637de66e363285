"""Feet that stand stay where they stand: the way of the pelvis follows from them, and legs reach them.

Only what is in contact is held, wherever it is: no foot is drawn to a floor.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from hmr_ros.types import Bools, Floats
from hmr_ros.world.feet import Soles
from hmr_ros.world.legs import LEGS, reached
from hmr_ros.world.walk import Walk, changed

# one standard deviation of the pelvis as it was recovered: across and along the line of sight, as shares of distance
_ACROSS, _ALONG = 0.01, 0.006
_STEP_ACROSS, _STEP_ALONG = 0.0015, 0.006  # and of its step from one frame to the next, at 30 Hz
_STEP_STANDING_M = 0.002  # of what a leg says of a foot that stands, from one frame to the next
STANDS = 0.5  # probability from which a point is held
_FADE_S = 0.2  # in which a leg comes back from where it was held
_FARTHEST_M = 0.12  # that a foot is moved to where it stood; more is no contact
_RATE_HZ = 30.0


def settled(walk: Walk, contacts: Floats, soles: Soles) -> Walk:
    """The whole walk with contacts [F,4] held: first the pelvis' way, then the legs."""
    if len(walk) < 2:
        return walk
    way = pelvis_way(walk, contacts)
    walk = changed(walk, soles, pelvis=way)
    return with_legs(walk, held_offsets(walk, contacts), soles)


def pelvis_way(walk: Walk, contacts: Floats) -> Floats:
    """[F,3] m: where the pelvis was, given where it was seen, how it moved, and that what stands does not move.

    Least squares over the whole walk: sum of squared standardised deviations from the recovered places, from the
    recovered steps, and of the steps of standing points; the normal equations are block-tridiagonal.
    """
    F = len(walk)
    pace = np.maximum(np.diff(walk.seconds) * _RATE_HZ, 0.2)[:, None, None]
    place = _information(walk.sight, _ACROSS, _ALONG)
    step = _information(walk.sight[:-1], _STEP_ACROSS, _STEP_ALONG) / pace
    both = np.minimum(contacts[1:], contacts[:-1])
    weight = np.where(both > STANDS, both, 0.0) / _STEP_STANDING_M**2  # [F-1,4]
    stand = weight.sum(1)[:, None, None] * np.eye(3)
    relative = walk.points - walk.pelvis[:, None]
    stays = -np.einsum("fk,fka->fa", weight, np.diff(relative, axis=0))  # the pelvis' step that keeps points in place
    pull = np.einsum("fab,fb->fa", step, np.diff(walk.pelvis, axis=0)) + stays
    link = step + stand
    diagonal, right = place.copy(), np.einsum("fab,fb->fa", place, walk.pelvis)
    diagonal[:-1] += link
    diagonal[1:] += link
    right[:-1] -= pull
    right[1:] += pull
    return np.asarray(solveh_banded(_banded(diagonal, -link), right.reshape(-1), lower=True).reshape(F, 3))


def held_offsets(walk: Walk, contacts: Floats) -> Floats:
    """[F,2,3] m by which each ankle is moved so that its foot's standing points stay; faded out beside a stance."""
    F = len(walk)
    moves, weights = np.zeros((F, 4, 3)), np.zeros((F, 4))
    for k in range(4):
        for rows in runs(contacts[:, k] > STANDS):
            anchor = np.average(walk.points[rows, k], axis=0, weights=contacts[rows, k])
            move = anchor - walk.points[rows, k]
            if np.linalg.norm(move, axis=1).max() < _FARTHEST_M:
                moves[rows, k], weights[rows, k] = move, contacts[rows, k]
    feet, sums = moves.reshape(F, 2, 2, 3), weights.reshape(F, 2, 2)
    total = sums.sum(2)
    offsets = (feet * sums[..., None]).sum(2) / np.maximum(total, 1e-9)[..., None]
    for side in range(2):
        offsets[:, side] = faded(offsets[:, side], total[:, side] > 0, walk.seconds)
    return offsets


def faded(offsets: Floats, held: Bools, seconds: Floats) -> Floats:
    """Offsets [F,3] that go to zero before and after they are held, within `_FADE_S`."""
    if not held.any():
        return np.zeros_like(offsets)
    rows = np.flatnonzero(held)
    after = np.clip(np.searchsorted(rows, np.arange(len(held))), 0, len(rows) - 1)
    out = np.zeros_like(offsets)
    total = np.zeros(len(held))
    for nearest in (rows[after], rows[np.maximum(after - 1, 0)]):
        share = np.clip(1 - np.abs(seconds - seconds[nearest]) / _FADE_S, 0, 1)
        share = share * share * (3 - 2 * share)
        out += share[:, None] * offsets[nearest]
        total += share
    out /= np.maximum(total, 1.0)[:, None]
    out[held] = offsets[held]
    return out


def with_legs(walk: Walk, offsets: Floats, soles: Soles) -> Walk:
    """The walk with ankles moved by offsets [F,2,3] m."""
    rotations = walk.rotations.copy()
    for f in np.flatnonzero(np.abs(offsets).max((1, 2)) > 1e-5):
        for side, leg in enumerate(LEGS):
            target = walk.joints[f, leg[2]] + offsets[f, side]
            rotations[f] = reached(rotations[f], walk.axes[f], walk.joints[f], leg, target)
    return changed(walk, soles, rotations=rotations)


def runs(flags: Bools) -> list[slice]:
    """The stretches in which `flags` [F] are true."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _information(positions: Floats, across: float, along: float) -> Floats:
    """Inverse covariance [F,3,3] of positions [F,3] m from the camera; standard deviations as shares of distance."""
    distance = np.maximum(np.linalg.norm(positions, axis=1), 0.3)[:, None, None]
    ray = positions[:, :, None] / distance
    outer = ray * np.swapaxes(ray, 1, 2)
    return np.asarray(((np.eye(3) - outer) / across**2 + outer / along**2) / distance**2)


def _banded(diagonal: Floats, below: Floats) -> Floats:
    """Lower band [6,3F] of the symmetric matrix with blocks `diagonal` [F,3,3] and `below` [F-1,3,3] under it."""
    F = len(diagonal)
    band = np.zeros((6, 3 * F))
    for a in range(3):
        for b in range(a + 1):
            band[a - b, b::3] = diagonal[:, a, b]
        for b in range(3):
            band[3 + a - b, b : 3 * (F - 1) : 3] = below[:, a, b]
    return band
