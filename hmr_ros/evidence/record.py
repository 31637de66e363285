"""What one frame says about one person, before any recovery: key points as rays, normalised, and 81 body points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.evidence.depth import PATCH_M, SurfaceDepths, surface_depths
from hmr_ros.evidence.keypoints import Normalised, aimed_heat, normalise, rays_of
from hmr_ros.evidence.leans import known_leans, with_leans
from hmr_ros.types import Array, Floats, Frame, Track

if TYPE_CHECKING:
    from jaxtyping import Float

PERSON_M = 0.5  # what `Evidence.scale` measures, on the average person


@dataclass(frozen=True)
class Posture:
    """The 81 sparse points of N people, in the axes of a camera aimed at each."""

    points_2d: Float[Array, "N 81 2"]  # in units of the person's size
    sigma_2d: Float[Array, "N 81"]  # one standard deviation an axis, same units
    points: Float[Array, "N 81 3"]  # m, pelvis near the origin
    sigma: Float[Array, "N 81"]  # m, one standard deviation an axis


class PostureSource(Protocol):
    """Whoever estimates the 81 points of everybody in a frame."""

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """One row a track; `seen` holds their normalised key points, in the same order."""
        ...


@dataclass(frozen=True)
class Evidence:
    """One person in one frame; axes of a camera aimed at the person unless said otherwise."""

    rays: Float[Array, "33 2"]  # landmarks on the plane z = 1 of the real camera, without lens distortion
    keypoints: Float[Array, "33 6"]  # as in `Normalised.points`
    scale: float  # size of the person on the plane z = 1 of the aimed camera
    R_camera_aimed: Float[Array, "3 3"]  # aimed camera -> real camera
    posture: Posture | None  # the 81 points, N = 1; None where no method asked for them
    depth: SurfaceDepths | None = None  # at the limb landmarks; None without a depth image
    # of the heat around each landmark, as `Keypoints.heat` but in units of `keypoints`; None where no heat map tells
    heat: Float[Array, "33 6"] | None = None
    leans: Float[Array, "12 2"] | None = None  # as in `Normalised`; None where the image says nothing


class EvidenceMaker:
    """Tracks of a frame -> their evidence, all people in one batch. Stateless."""

    def __init__(self, source: PostureSource | None, heat: bool = True) -> None:
        """`source` estimates the 81 body points; None: they are left out. `heat`: whether anybody reads it, for it
        costs half a millisecond a person."""
        self.source, self.heat = source, heat

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Evidence]:
        """One record a track, in the same order."""
        if not tracks:
            return []
        keypoints = np.array([t.keypoints.keypoints_2d for t in tracks])
        rays = rays_of(keypoints[..., :2], frame.camera)
        seen = normalise(rays, keypoints[..., 2], np.array([t.keypoints.keypoints_3d for t in tracks]))
        seen = with_leans(seen, [t.keypoints.limbs for t in tracks], keypoints)
        posture = self.source(frame, tracks, seen) if self.source else None
        return [
            Evidence(
                rays[i], seen.points[i], float(seen.scale[i]), seen.R_camera_aimed[i], _row(posture, i),
                depths_of(frame, keypoints[i], float(seen.scale[i])),
                heat_of(frame, tracks[i], seen, i) if self.heat else None,
                None if seen.leans is None or tracks[i].keypoints.limbs is None else seen.leans[i],
            )
            for i in range(len(tracks))
        ]  # fmt: skip


def keypoints_of(evidence: list[Evidence]) -> Normalised:
    """The normalised key points of N people side by side."""
    return Normalised(
        np.array([e.keypoints for e in evidence]),
        np.array([e.scale for e in evidence]),
        np.array([e.R_camera_aimed for e in evidence]),
        known_leans([e.leans for e in evidence]),
    )


def posture_of(evidence: list[Evidence]) -> Posture:
    """The 81 points of N people side by side."""
    rows = [e.posture for e in evidence if e.posture is not None]
    assert len(rows) == len(evidence), "the factory gives a posture source to whoever reads the 81 points"
    return Posture(
        np.concatenate([r.points_2d for r in rows]), np.concatenate([r.sigma_2d for r in rows]),
        np.concatenate([r.points for r in rows]), np.concatenate([r.sigma for r in rows]),
    )  # fmt: skip


def depths_of(frame: Frame, keypoints: Floats, scale: float) -> SurfaceDepths | None:
    """At the limb landmarks of one person's `keypoints` [33,3] px; `scale` as in `Evidence`."""
    if frame.depth is None:
        return None
    size_px = PATCH_M / PERSON_M * scale * float(frame.camera.K[0, 0])
    return SurfaceDepths(*surface_depths(frame.depth, keypoints[BLAZEPOSE_LIMBS, :2], size_px))


def heat_of(frame: Frame, track: Track, seen: Normalised, i: int) -> Floats | None:
    """`Evidence.heat` of row `i` of `seen`."""
    if track.keypoints.heat is None:
        return None
    return aimed_heat(track.keypoints.heat[None], frame.camera, seen.R_camera_aimed[i : i + 1], seen.scale[i : i + 1])[
        0
    ]


def _row(posture: Posture | None, i: int) -> Posture | None:
    if posture is None:
        return None
    rows = slice(i, i + 1)
    return Posture(posture.points_2d[rows], posture.sigma_2d[rows], posture.points[rows], posture.sigma[rows])
