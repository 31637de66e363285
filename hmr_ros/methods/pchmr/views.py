"""People whom several calibrated cameras see, moved to where their landmarks' rays meet: `hmr multiview` after the
common pose. `parallel` is PC-HMR with triangulated targets, `fit` has the rays as observations; both free the shape,
which is then one for all frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of, sparse_points
from hmr_ros.body.fitting import Fitted, Observed, OtherCamera, PointFitter, place
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.body.model import NUM_JOINTS, BodyModel
from hmr_ros.body.points import points_of
from hmr_ros.methods.contract import Estimate, Observation
from hmr_ros.methods.pchmr.blend import trained_blend
from hmr_ros.methods.pchmr.calibration import all_targets, bone_motion, calibrated
from hmr_ros.methods.pchmr.targets import Targets
from hmr_ros.types import Floats

_SIGMA_LANDMARK_M = 0.0132  # of a landmark seen for certain, as in the guidance of several views
_LEAST_CONFIDENCE, _LEAST_DEPTH_M = 0.05, 0.1
_REJECT_M = 0.15  # off their rays, root mean square: not one joint that the views saw
_ITERATIONS = 4
_SIGMA_BETAS, _SIGMA_BETAS_SHARED = 1.0, 0.1  # of a frame's shape about what is expected, then about the mean
_SIGMA_POINT_M = 0.02  # of the calibrated points, in the refit


@dataclass(frozen=True)
class Rays:
    """The limb joints of one person in F frames as V cameras see them; x_camera = R x_world + t."""

    rays: Floats  # [V,F,12,2] on the planes z = 1
    sigma: Floats  # [V,F,12] of the rays, one standard deviation; inf where a view does not see the joint
    R: Floats  # [V,3,3]
    t: Floats  # [V,3] m

    @property
    def relative(self) -> list[tuple[Floats, Floats]]:
        """R [3,3] and t [3] from the axes of the first camera to those of the others."""
        turns = [R @ self.R[0].T for R in self.R[1:]]
        return [(turn, t - turn @ self.t[0]) for turn, t in zip(turns, self.t[1:], strict=True)]


ViewCalibration = Callable[[list[Estimate], Rays, BodyModel], Fitted]
"""The common pose in the axes of the first camera, F frames, and what all see -> bodies in these axes."""


def rays_of_views(people: list[list[Observation]], seen: Floats, R: Floats, t: Floats) -> Rays:
    """Of one person [V][F]; `seen` [V,F] is 0 where a view has lost the person. An error of a landmark is one of
    metres, so that of its ray shrinks with the depth."""
    rays = np.array([[p.evidence.rays[BLAZEPOSE_LIMBS] for p in view] for view in people])
    confidence = np.array([[p.evidence.keypoints[BLAZEPOSE_LIMBS, 2] for p in view] for view in people])
    depth = np.array([[p.estimate.joints[SMPL_LIMBS, 2] for p in view] for view in people])
    known = (confidence > _LEAST_CONFIDENCE) & (seen[..., None] > 0)
    scale = np.maximum(confidence, _LEAST_CONFIDENCE) * np.maximum(depth, _LEAST_DEPTH_M)
    return Rays(rays, np.where(known, _SIGMA_LANDMARK_M / scale, np.inf), R, t)


def triangulated(seen: Rays) -> Targets:
    """Target joints of F frames in the axes of the first camera: where the rays of two or more views meet. NaN where
    fewer see a joint or their rays pass each other."""
    V, F, K = seen.sigma.shape
    flat, sigma = seen.rays.reshape(V, F * K, 1, 2), seen.sigma.reshape(V, F * K, 1)
    others = [
        OtherCamera(r, s, R, t) for r, s, (R, t) in zip(flat[1:], sigma[1:], seen.relative, strict=True)
    ]  # fmt: skip
    points = place(np.zeros((F * K, 1, 3)), flat[0], sigma[0], others).reshape(F, K, 3)
    off, weight = np.zeros((F, K)), np.zeros((F, K))
    for rays, its, (R, t) in zip(seen.rays, seen.sigma, [(np.eye(3), np.zeros(3)), *seen.relative], strict=True):
        there = points @ R.T + t
        beside = np.linalg.norm(rays * there[..., 2:] - there[..., :2], axis=-1)
        known = np.isfinite(its) & (there[..., 2] > _LEAST_DEPTH_M)
        off, weight = off + known * beside**2, weight + known
    good = (weight >= 2) & (np.sqrt(off / np.maximum(weight, 1)) <= _REJECT_M)
    return Targets(np.where(good[..., None], points, np.nan), np.where(good, _SIGMA_LANDMARK_M, np.inf))


def fit_views(common: list[Estimate], seen: Rays, body: BodyModel) -> Fitted:
    """`calibrate: fit`: the joints of the common pose by their uncertainty, and the rays of all views."""
    fitter = PointFitter(points_of(body, np.arange(NUM_JOINTS), np.array([], np.int64)))
    near = np.array([e.rotations for e in common])
    joints, sigma = np.array([e.joints - e.joints[0] for e in common]), np.array([e.joint_sigma for e in common])
    wide = [_on_joints(rays, its) for rays, its in zip(seen.rays, seen.sigma, strict=True)]
    others = [OtherCamera(*rays, R, t) for rays, (R, t) in zip(wide[1:], seen.relative, strict=True)]

    def fit(betas: Floats, sigma_betas: float) -> Fitted:
        spread = np.full(len(near), sigma_betas)
        return fitter(Observed(joints, sigma, *wide[0], betas, spread), _ITERATIONS, near, others=others)

    return _one_shape(fit, common)


def parallel_views(common: list[Estimate], seen: Rays, body: BodyModel) -> Fitted:
    """`calibrate: parallel`: the bones of the common pose laid on the triangulated joints, then SMPL refitted."""
    mesh = coarse_of(body)
    points = sparse_points(body, mesh)
    fitter, blend = PointFitter(points), trained_blend(body, mesh, NUM_SPARSE)
    motion = bone_motion(np.array([e.joints for e in common]), all_targets(triangulated(seen)))
    posed = np.array([points.posed(e.rotations, e.betas) + e.transl for e in common])
    moved = calibrated(posed, motion, blend)
    start = np.array([e.rotations for e in common])
    start[:, 0] = motion.rotation[:, 0] @ start[:, 0]
    pelvis, shape = moved[:, :1], moved.shape[:2]

    def fit(betas: Floats, sigma_betas: float) -> Fitted:
        blind = np.zeros((*shape, 2)), np.full(shape, np.inf)
        target = Observed(
            moved - pelvis, np.full(shape, _SIGMA_POINT_M), *blind, betas, np.full(len(betas), sigma_betas)
        )  # fmt: skip
        found = fitter(target, _ITERATIONS, start=start)
        return Fitted(
            found.rotations, found.betas, pelvis[:, 0] + (moved - pelvis - found.points).mean(1), found.points
        )  # fmt: skip

    return _one_shape(fit, common)


VIEW_CALIBRATIONS: dict[str, ViewCalibration] = {"fit": fit_views, "parallel": parallel_views}


def _one_shape(fit: Callable[[Floats, float], Fitted], common: list[Estimate]) -> Fitted:
    """Every frame with a shape of its own, then all with their mean."""
    first = fit(np.array([e.betas for e in common]), _SIGMA_BETAS).betas.mean(0)
    return fit(np.tile(first, (len(common), 1)), _SIGMA_BETAS_SHARED)


def _on_joints(rays: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Rays [F,12,2] and sigma [F,12] of the limb joints among all 24."""
    F = len(rays)
    wide, spread = np.zeros((F, NUM_JOINTS, 2)), np.full((F, NUM_JOINTS), np.inf)
    wide[:, SMPL_LIMBS], spread[:, SMPL_LIMBS] = rays, sigma
    assert rays.shape[1] == len(LIMB_JOINTS)
    return wide, spread
