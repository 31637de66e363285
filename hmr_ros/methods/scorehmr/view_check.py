"""Whether calibrated views can be what they are said to be: each view alone knows roughly where the person is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.scorehmr.multiview import View
from hmr_ros.types import Floats

# how far two views of one person may disagree; a single view errs by a tenth in distance and some 20 degrees
_APART = 0.5  # of the distance to the person
_TURNED_DEG = 75.0
_FEWEST_FRAMES = 3  # in common: fewer say nothing

# what calibrations are given as by mistake, and how that becomes x_camera = R x_world + t
_MISTAKES: dict[str, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
    "t is in millimetres: give metres": lambda R, t: (R, 1e-3 * t),
    "R is transposed": lambda R, t: (R.T, t),
    "R and t are the camera's place in the world: give R^T and -R^T t": lambda R, t: (R.T, -R.T @ t),
    "t is the camera's place in the world: give -R t": lambda R, t: (R, -R @ t),
    "R is transposed and t in millimetres": lambda R, t: (R.T, 1e-3 * t),
    "R and t are the camera's place in the world, in millimetres": lambda R, t: (R.T, -1e-3 * R.T @ t),
}


@dataclass(frozen=True)
class _Disagreement:
    """Of two views about one person, the median over the frames in common."""

    apart: float  # of the distance to the person
    turned_deg: float

    @property
    def is_plausible(self) -> bool:
        return self.apart <= _APART and self.turned_deg <= _TURNED_DEG


def check_views(views: list[View], names: list[str]) -> None:
    """InputError where the calibrations contradict what the views see; it names the mistake that would explain it."""
    if any(view.R is None or view.t is None for view in views):
        return
    worst, pair = _worst(views)
    if worst is None or worst.is_plausible:
        return
    a, b = (names[k] for k in pair)
    said = (
        f"R and t of the views contradict what they see: {a} and {b} put the person {worst.apart:.2g} of the distance"
        f" apart, turned by {worst.turned_deg:.0f} degrees"
    )
    for mistake, mended in _MISTAKES.items():
        found, _ = _worst([_corrected(view, mended) for view in views])
        if found is not None and found.is_plausible:
            raise InputError(f"{said}; they agree if {mistake} (x_camera = R x_world + t, in metres, is expected)")
    raise InputError(f"{said}; check R, t (metres) and camera of both, and that the videos start together")


def _corrected(view: View, mended: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> View:
    assert view.R is not None and view.t is not None
    R, t = mended(view.R, view.t)
    return replace(view, R=R, t=t)


def _worst(views: list[View]) -> tuple[_Disagreement | None, tuple[int, int]]:
    found: list[tuple[_Disagreement, tuple[int, int]]] = []
    for i, k in combinations(range(len(views)), 2):
        between = _between(views[i], views[k])
        if between is not None:
            found.append((between, (i, k)))
    if not found:
        return None, (0, 0)
    return max(found, key=lambda f: max(f[0].apart / _APART, f[0].turned_deg / _TURNED_DEG))


def _between(a: View, b: View) -> _Disagreement | None:
    places = [_world(view) for view in (a, b)]
    common = sorted(places[0].keys() & places[1].keys())
    if len(common) < _FEWEST_FRAMES:
        return None
    (A, R_a, far_a), (B, R_b, far_b) = (
        [np.array(column) for column in zip(*(place[f] for f in common), strict=True)] for place in places
    )
    apart = np.linalg.norm(A - B, axis=1) / (0.5 * (far_a + far_b))
    turned = np.linalg.norm(axis_angle_from_matrix(R_a.transpose(0, 2, 1) @ R_b), axis=-1)
    return _Disagreement(float(np.median(apart)), float(np.degrees(np.median(turned))))


def _world(view: View) -> dict[int, tuple[Floats, Floats, float]]:
    """By frame: pelvis [3] m and orientation [3,3] in the world, distance of the pelvis from the camera."""
    assert view.R is not None and view.t is not None
    return {
        p.frame: (
            view.R.T @ (p.estimate.joints[0] - view.t), view.R.T @ p.estimate.rotations[0],
            float(np.linalg.norm(p.estimate.joints[0])),
        )
        for p in view.people
    }  # fmt: skip
