"""Where the limb joints are according to a depth image ("parallel" PC-HMR: targets beside the recovery)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hmr_ros.body.coarse import coarse_of
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.evidence.depth import SurfaceDepths
from hmr_ros.evidence.record import Evidence
from hmr_ros.geometry.covariance import fused
from hmr_ros.methods.contract import Estimate
from hmr_ros.types import Array, Floats

if TYPE_CHECKING:
    from jaxtyping import Float

# m from the surface to the joint along the optical axis, for the terms of `view_terms`; then what is left, one standard
# deviation. Of the open body, from benchmarks/depth_table.py.
_INSIDE = {
    "hip": (0.087, 0.085, -0.005, -0.020, 0.071, 0.046, -0.028, -0.008, 0.008, 0.024),
    "knee": (0.054, 0.008, -0.013, 0.001, -0.005, 0.031, -0.017, -0.005, 0.019, 0.011),
    "ankle": (0.041, -0.006, 0.007, -0.007, -0.016, 0.021, -0.001, 0.005, -0.004, 0.008),
    "shoulder": (0.047, 0.054, 0.038, 0.008, 0.054, 0.030, 0.038, 0.008, 0.001, 0.020),
    "elbow": (0.064, 0.039, 0.010, -0.043, -0.006, -0.022, 0.025, -0.027, -0.019, 0.025),
    "wrist": (0.022, 0.026, 0.008, -0.011, 0.088, -0.009, 0.016, -0.052, -0.001, 0.024),
}  # fmt: skip
_TABLE = np.array([_INSIDE[name.split("_")[1]] for name in LIMB_JOINTS])
REJECT_M = 0.45
_LEAST_CONFIDENCE = 0.3
_LEAST_JOINTS = 3
ACROSS_M = 0.03  # error of a target joint across the optical axis: the landmark's
_BESIDE_M, _BEFORE_M = 0.05, 0.05  # what lies so near to a joint's ray, and so far before its surface, hides it


@dataclass(frozen=True)
class Targets:
    """Target joints of N people, camera frame."""

    points: Float[Array, "N 12 3"]  # m, in the order of LIMB_JOINTS; NaN where unknown
    sigma: Float[Array, "N 12"]  # m along the optical axis, one standard deviation; inf where unknown


def view_terms(joints: Floats, bones: Floats) -> Floats:
    """[N,12,9] what the depth inside the body depends on: the direction of view to the limb joints [N,12,3] m in the
    axes [N,12,3,3] of the bones that end there, its products; right ones mirrored onto the left."""
    view = joints / np.linalg.norm(joints, axis=-1, keepdims=True)
    x, y, z = np.moveaxis((np.swapaxes(bones, -1, -2) @ view[..., None])[..., 0], -1, 0)
    x = x * _MIRROR
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, x * y, x * z, y * z], -1)


_MIRROR = np.array([1.0 if name.startswith("left") else -1.0 for name in LIMB_JOINTS])


def depth_inside(joints: Floats, world: Floats) -> tuple[Floats, Floats]:
    """How far [N,12] m the limb joints lie behind the surface on the optical axis, and its standard deviation [12] m.

    `joints` [N,24,3] m, `world` [N,24,3,3] rotations of the bones, both in the camera frame.
    """
    terms = view_terms(joints[:, SMPL_LIMBS], world[:, SMPL_PARENTS[SMPL_LIMBS]])
    return np.maximum((terms * _TABLE[:, :-1]).sum(-1), 0.0), _TABLE[:, -1]


class DepthTargets:
    """Depth joints of people as they were recovered: the surface at their landmarks, and how deep the joints lie behind
    it as the recovered bodies stand."""

    def __init__(self, body: BodyModel) -> None:
        """`body` is the open body, to which the table belongs."""
        self._points = coarse_of(body).points(body)
        carrier = self._points.weights.argmax(1)
        near = [[j, SMPL_PARENTS[j], *np.flatnonzero(j == SMPL_PARENTS)] for j in SMPL_LIMBS]
        self._other = np.array([~np.isin(carrier, bones) for bones in near])  # [12,P] not beside the joint

    def __call__(self, evidence: list[Evidence], estimates: list[Estimate]) -> Targets:
        """Left out: landmarks that are not seen, joints that another part of the recovered body hides, and joints
        whose depth differs from the recovered one by more than `REJECT_M` after the offset that all joints share."""
        joints = np.array([e.joints for e in estimates])
        world = forward_kinematics(np.array([e.rotations for e in estimates]), np.zeros((24, 3)))[0]
        inside, sigma_inside = depth_inside(joints, world)
        surface, sigma_surface = _surfaces(evidence)
        confidence = np.array([e.keypoints[BLAZEPOSE_LIMBS, 2] for e in evidence])
        rays = np.array([e.rays[BLAZEPOSE_LIMBS] for e in evidence])
        hidden = [self._hidden(e, i) for e, i in zip(estimates, inside, strict=True)]
        z = surface + inside
        sigma = np.hypot(sigma_surface, sigma_inside) / np.maximum(confidence, _LEAST_CONFIDENCE)
        z = np.where((confidence > _LEAST_CONFIDENCE) & np.isfinite(sigma) & ~np.array(hidden), z, np.nan)
        agreed = _agreed(z - joints[:, SMPL_LIMBS, 2])
        points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) * z[..., None]
        return Targets(np.where(agreed[..., None], points, np.nan), np.where(agreed, sigma, np.inf))

    def _hidden(self, estimate: Estimate, inside: Floats) -> NDArray[np.bool_]:
        """[12] whether another part of the body lies before the joint's own surface."""
        points = self._points.posed(estimate.rotations, estimate.betas) + estimate.transl
        joints = estimate.joints[SMPL_LIMBS]
        plane = points[:, :2] / points[:, 2:]
        off = (plane - (joints[:, :2] / joints[:, 2:])[:, None]) * joints[:, None, 2:]  # [12,P,2] m at the joint
        beside = np.hypot(off[..., 0], off[..., 1]) < _BESIDE_M
        before = points[:, 2] < (joints[:, 2] - inside - _BEFORE_M)[:, None]
        return np.asarray((beside & before & self._other).any(1))


def _agreed(off: Floats) -> NDArray[np.bool_]:
    """[N,12] whether the difference [N,12] m to the recovered depth is the one that all share."""
    off = off.copy()
    enough = np.isfinite(off).sum(1) >= _LEAST_JOINTS
    off[~enough] = np.nan
    shared = np.zeros((len(off), 1))
    shared[enough] = np.nanmedian(off[enough], axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(off - shared) <= REJECT_M)


def _surfaces(evidence: list[Evidence]) -> tuple[Floats, Floats]:
    unknown = np.full(len(LIMB_JOINTS), np.nan)
    rows = [e.depth or SurfaceDepths(unknown, unknown) for e in evidence]
    return np.array([r.z for r in rows]), np.array([r.sigma for r in rows])


def calibrated_covariance(recovered: Floats, sigma: Floats) -> Floats:
    """Covariance [24,3,3] m^2 of the joints relative to the pelvis: the `recovered` one, for limb joints together with
    that of the target, `sigma` [12] m along the optical axis (infinite where there is none), the landmark's across."""
    covariance = recovered.copy()
    known = np.isfinite(sigma)
    across = np.full(known.sum(), ACROSS_M**2)
    target = np.stack([across, across, sigma[known] ** 2], -1)[..., None] * np.eye(3)
    rows = SMPL_LIMBS[known]
    covariance[rows] = fused(covariance[rows], target)
    return covariance
