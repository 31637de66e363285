"""Training of PC-HMR's blend matrices A and W: a convex regression for each point, no gradient descent.

With B = A o W and C = A - B, Eq. 12-13 say that a calibrated point is a convex combination of 48 candidates: where each
bone carries it rigidly (C), and where that bone carries it together with its whole non-rigid rest (B). So both matrices
follow from non-negative least squares, point by point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from hmr_ros.body.coarse import NUM_SPARSE, CoarseMesh, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.model import NUM_BETAS, BodyModel, forward_kinematics
from hmr_ros.body.points import BodyPoints
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.pchmr.blend import Blend
from hmr_ros.methods.pchmr.calibration import BoneMotion, bone_motion, calibrated
from hmr_ros.methods.pchmr.targets import depth_inside
from hmr_ros.methods.posturehmr.process import FACING
from hmr_ros.methods.posturehmr.recovery import observed
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.train.data.batches import Batch, Mix, PairBank
from hmr_ros.types import Floats

RIDGES_M = (0.03, 0.1, 0.3, 1.0)  # how far off a point may be before its weights leave the closed form's
_CHUNK = 64
_LEAST_CONFIDENCE = 0.3  # as in pchmr.targets
_MISSING = 0.5  # at most so many of a person's targets are left out
_SIGMA_SURFACE_M = 0.008  # of the depth of the surface
_NEAR_M = 0.02  # people whose mesh is nearer than this do not weigh more
_SUM_WEIGHT = 10.0  # m, of the row that makes the coefficients sum to one


@dataclass(frozen=True)
class Calibrated:
    """N people: recovered points, how their bones move to the targets, and where the points truly are."""

    points: Floats  # [N,P,3] m
    motion: BoneMotion
    truth: Floats  # [N,P,3] m


def examples(
    bank: PairBank, body: BodyModel, mesh: CoarseMesh, network: PostureNetwork, rng: np.random.Generator, mix: Mix,
    rounds: int = 1,
) -> Iterator[Calibrated]:  # fmt: skip
    """Everybody of `bank` `rounds` times, drawn as `mix` says: recovered by the posture networks and the fit, with the
    limb joints that a depth camera would give, a part of them missing."""
    fitter, points = PointFitter(sparse_points(body, mesh)), mesh.points(body)
    order = np.concatenate([rng.permutation(len(bank)) for _ in range(rounds)])
    for start in range(0, len(order), _CHUNK):
        batch = bank.batch(order[start : start + _CHUNK], rng, mix)
        keypoints, scale, betas, pelvis = (
            a.numpy().astype(np.float64) for a in (batch.points, batch.scale, batch.betas, batch.pelvis)
        )
        rotations = _true_rotations(batch)
        N = len(keypoints)
        seen = Normalised(keypoints, scale, np.tile(np.eye(3), (N, 1, 1)))
        fit = fitter(observed(seen, network(keypoints, np.log(scale)), np.zeros((N, NUM_BETAS)), np.ones(N)))
        joints = _joints(body, fit.rotations, fit.betas, fit.pelvis)
        true_joints = _joints(body, rotations, betas, pelvis)
        targets = np.full_like(joints, np.nan)
        targets[:, SMPL_LIMBS] = _measured(keypoints, scale, rotations, true_joints, rng)
        recovered = _posed(points, fit.rotations, fit.betas, fit.pelvis)
        yield Calibrated(recovered, bone_motion(joints, targets), _posed(points, rotations, betas, pelvis))


def fit_blend(rows: Iterator[Calibrated], start: Blend) -> dict[float, Blend]:
    """The blend for each of `RIDGES_M`, from the closed form `start` [P,24]: least squares of the points' distances,
    people weighed by one over theirs, so that whom the recovery took for turned around does not decide."""
    P, bones = start.A.shape
    gram, total = np.zeros((P, 2 * bones, 2 * bones)), 0.0
    for each in rows:
        error = _candidates(each) - each.truth[:, :, None]  # [N,P,48,3]
        away = np.linalg.norm(calibrated(each.points, each.motion, start) - each.truth, axis=-1).mean(1)
        weight = 1.0 / np.maximum(away, _NEAR_M)
        error *= np.sqrt(weight)[:, None, None, None]
        flat = error.transpose(1, 2, 0, 3).reshape(P, 2 * bones, -1)
        gram += flat @ flat.transpose(0, 2, 1)
        total += float(weight.sum())
    closed = np.concatenate([start.A * start.W, start.A * (1 - start.W)], 1)
    return {ridge: _blend(np.array([_convex(G / total, c, ridge) for G, c in zip(gram, closed, strict=True)]))
            for ridge in RIDGES_M}  # fmt: skip


def mesh_error(rows: Iterator[Calibrated], blends: dict[str, Blend]) -> dict[str, float]:
    """Mean distance [mm] of the calibrated vertices from the true ones in absolute position, by blend; beside them
    `recovered`, not calibrated."""
    found: dict[str, list[Floats]] = {name: [] for name in ("recovered", *blends)}
    for each in rows:
        moved = {"recovered": each.points} | {n: calibrated(each.points, each.motion, b) for n, b in blends.items()}
        for name, points in moved.items():
            found[name].append(np.linalg.norm(points - each.truth, axis=-1)[:, NUM_SPARSE:].mean(1))
    return {name: 1e3 * float(np.concatenate(column).mean()) for name, column in found.items()}


def _candidates(each: Calibrated) -> Floats:
    """[N,P,48,3] m: each point with the rest of each bone, then without."""
    motion = each.motion
    turned = np.einsum("niab,npb->npia", motion.rotation, each.points, optimize=True)
    rigid = turned + motion.translation[:, None]
    return np.concatenate([rigid + motion.rest[:, None], rigid], 2)


def _convex(gram: Floats, closed: Floats, ridge: float) -> Floats:
    """Non-negative coefficients [48] with sum 1 of least square distance, `gram` [48,48] m^2, and near `closed`."""
    size = len(closed)
    normal = gram + ridge**2 * np.eye(size) + _SUM_WEIGHT**2
    lower = np.linalg.cholesky(normal)
    right = np.linalg.solve(lower, ridge**2 * closed + _SUM_WEIGHT**2)
    found = nnls(lower.T, right, maxiter=20 * size)[0]
    return np.asarray(found / found.sum())


def _blend(coefficients: Floats) -> Blend:
    """A and W [P,24] of coefficients [P,48] as in `_candidates`."""
    B, C = np.split(coefficients, 2, axis=1)
    A = B + C
    return Blend(A, np.where(A > 0, B / np.where(A > 0, A, 1.0), 0.0))


def _measured(
    keypoints: Floats, scale: Floats, rotations: Floats, joints: Floats, rng: np.random.Generator
) -> Floats:  # fmt: skip
    """Limb joints [N,12,3] m on the rays of the landmarks, at their true depth but for the camera's and the body's
    error; NaN where a landmark is not seen, and at random."""
    N = len(keypoints)
    limbs = keypoints[:, BLAZEPOSE_LIMBS]
    confidence = limbs[..., 2]
    world = forward_kinematics(rotations, np.zeros((24, 3)))[0]
    sigma = np.hypot(depth_inside(joints, world)[1], _SIGMA_SURFACE_M)
    z = joints[:, SMPL_LIMBS, 2] + sigma * rng.normal(size=confidence.shape)
    lost = rng.random(confidence.shape) < rng.uniform(0.0, _MISSING, (N, 1))
    rays = np.concatenate([limbs[..., :2] * scale[:, None, None], np.ones_like(limbs[..., :1])], -1)
    return np.where(((confidence > _LEAST_CONFIDENCE) & ~lost)[..., None], rays * z[..., None], np.nan)


def _true_rotations(batch: Batch) -> Floats:
    """Local rotations [B,24,3,3], the first body -> aimed camera."""
    rotations = matrix_from_axis_angle(batch.pose.numpy().astype(np.float64))
    rotations[:, 0] = FACING.numpy().astype(np.float64).T @ rotations[:, 0]
    return np.asarray(rotations)


def _joints(body: BodyModel, rotations: Floats, betas: Floats, pelvis: Floats) -> Floats:
    joints = forward_kinematics(rotations, body.rest_joints(betas))[1]
    return np.asarray(joints - joints[:, :1] + pelvis[:, None])


def _posed(points: BodyPoints, rotations: Floats, betas: Floats, pelvis: Floats) -> Floats:
    """[N,P,3] m with the pelvis, the first point, at `pelvis` [N,3]."""
    posed = np.array([points.posed(R, b) for R, b in zip(rotations, betas, strict=True)])
    return np.asarray(posed - posed[:, :1] + pelvis[:, None])
