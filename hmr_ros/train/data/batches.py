"""Batches for the posture networks: pairs normalised once, turned, mirrored and mixed every time they are drawn.

`PairBank` with its noise model (BlazePose's residuals, put on people in other poses), batches of true key points,
augmentation, and the fit that says which convex mixture of body points each landmark is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from hmr_ros.body.coarse import CoarseMesh
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, BLAZEPOSE_MIRRORED, SMPL, SMPL_JOINTS, SMPL_MIRRORED
from hmr_ros.body.model import BodyModel
from hmr_ros.evidence.keypoints import normalise
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.synth.poses import Recorded, widened
from hmr_ros.train.data.landmark_errors import RealErrors
from hmr_ros.train.data.pairs import PairSet, seen_of, taken
from hmr_ros.types import Floats, Ints

_FACING = np.diag([1.0, -1.0, -1.0])
_LOWER = np.array([SMPL[n] for n in SMPL_JOINTS if any(p in n for p in ("hip", "knee", "ankle", "foot"))])
_LEVEL, _PITCH_RAD = 0.6, (-0.6, 1.0)  # share of cameras that are nearly level, and how far the others look down
_FALLEN = 0.05
_RECORDED_SHARE = 0.75  # of the synthetic people, where motion is given
_MIN_SCORE = 0.5  # the tracker would not accept less
_SURE = 0.8  # confidence of a landmark that the fit learns from
_KEEP = (0.8, 0.9)  # share of the best rows kept after each round
_SUM_WEIGHT = 100.0  # weight of the row that makes the coefficients sum to one


@dataclass(frozen=True)
class Batch:
    """B people in the frame of a camera aimed at them."""

    points: Tensor  # [B,33,6] as in evidence.keypoints
    log_scale: Tensor  # [B]
    pose: Tensor  # [B,24,3] rad, first row as in posturehmr.process
    betas: Tensor  # [B,10]
    pelvis: Tensor  # [B,3] m
    scale: Tensor  # [B]

    def to(self, device: str) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


@dataclass(frozen=True)
class Mix:
    """How batches are drawn."""

    synthetic_share: float = 0.5  # of the people: in other poses than rendered, with landmarks from the noise model
    without_depth: float = 0.25  # share whose world landmarks are left out
    augment: bool = True
    real_share: float = 0.0  # of the synthetic people: with landmark errors as on real people
    jitter: float = 0.0  # noise on the landmarks (sizes of the person; metres / 1.5), so that none is memorised


class PairBank:
    """Pairs in memory, ready to be drawn from."""

    def __init__(
        self, pairs: PairSet, body: BodyModel, mesh: CoarseMesh, landmarks: Floats | None = None,
        recorded: Recorded | None = None, errors: RealErrors | None = None,
    ) -> None:  # fmt: skip
        self._recorded = recorded  # motion whose poses are seen as they are, for the noise model
        self._errors = errors  # of the landmarks on real people, for `Mix.real_share`
        keep = pairs.score > _MIN_SCORE
        seen = seen_of(taken(pairs, np.flatnonzero(keep)))
        pose = pairs.pose[keep].astype(np.float64).reshape(-1, 24, 3)
        self.betas = pairs.betas[keep].astype(np.float64)
        aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
        pelvis = body.rest_joints(self.betas)[:, 0] + pairs.transl[keep]
        self.pelvis = np.einsum("nab,nb->na", aimed, pelvis)
        self.root = aimed @ matrix_from_axis_angle(pose[:, 0])  # [N,3,3] body -> aimed camera
        self.pose, self.points, self.scale = pose, seen.points, seen.scale
        self.posed = PosedPoints(mesh.points(body))
        self.landmarks = landmarks  # [33,448]
        self._measure_noise(fit=landmarks is None)

    def __len__(self) -> int:
        return len(self.pose)

    def batch(self, index: Ints, rng: np.random.Generator, mix: Mix) -> Batch:
        """People with these indices; a part of them re-posed and given landmarks by the noise model."""
        points, pose, root = self.points[index], self.pose[index], self.root[index]
        betas, pelvis, scale = self.betas[index], self.pelvis[index], self.scale[index]
        if mix.augment:
            count = round(mix.synthetic_share * len(index))
            if count:
                synthetic = self._synthetic(index[:count], rng, mix.real_share)
                points, pose, root, betas, pelvis, scale = (
                    np.concatenate([new, old[count:]])
                    for new, old in zip(synthetic, (points, pose, root, betas, pelvis, scale), strict=True)
                )
            points, pose, root, pelvis = _turned(points, pose, root, pelvis, rng)
            _jitter(points, mix.jitter, rng)
            points[rng.random(len(points)) < mix.without_depth, :, 3:] = 0.0
        pose = pose.copy()
        pose[:, 0] = axis_angle_from_matrix(_FACING @ root)
        tensors = (points, np.log(scale), pose, betas, pelvis, scale)
        return Batch(*(torch.as_tensor(a, dtype=torch.float32) for a in tensors))

    def truth(self, pose: Floats, root: Floats, betas: Floats) -> Floats:
        """The 448 points [B,448,3] m of people, aimed camera axes, pelvis at the origin."""
        full = pose.copy()
        full[:, 0] = axis_angle_from_matrix(_FACING @ root)
        with torch.no_grad():
            out = fk_state(
                self.posed, torch.as_tensor(full, dtype=torch.float32), torch.as_tensor(betas, dtype=torch.float32),
                torch.zeros(len(full)),
            )  # fmt: skip
        return out.numpy().astype(np.float64)

    def _measure_noise(self, fit: bool) -> None:
        """What BlazePose says minus what is true, in units of the person's size and in metres."""
        residual_2d, residual_3d = np.zeros((len(self), 33, 2)), np.zeros((len(self), 33, 3))
        if fit:
            some = np.linspace(0, len(self) - 1, min(len(self), 4000)).astype(int)
            xyz = self.truth(self.pose[some], self.root[some], self.betas[some]) + self.pelvis[some, None]
            uv = xyz[..., :2] / xyz[..., 2:] / self.scale[some, None, None]
            self.landmarks = fit_landmarks(uv, self.points[some, :, :2], self.points[some, :, 2])
        for start in range(0, len(self), 1000):
            rows = slice(start, start + 1000)
            body = self.truth(self.pose[rows], self.root[rows], self.betas[rows])
            true_3d = self.landmarks @ body
            hip = (true_3d[:, [23]] + true_3d[:, [24]]) / 2
            placed = true_3d + self.pelvis[rows, None]
            uv = placed[..., :2] / placed[..., 2:] / self.scale[rows, None, None]
            residual_2d[rows] = self.points[rows, :, :2] - uv
            residual_3d[rows] = self.points[rows, :, 3:] - (true_3d - hip)
        self.residual_2d, self.residual_3d = residual_2d, residual_3d
        off = np.linalg.norm(residual_2d[:, BLAZEPOSE_LIMBS], axis=-1)
        self.pixels = float(np.median(off))  # error in the image, in sizes of the person

    def _synthetic(self, index: Ints, rng: np.random.Generator, real_share: float) -> tuple[Floats, ...]:
        """People in recorded poses, or mixed from two of the bank, with another person's landmark errors, or for
        `real_share` of them with errors as on real people."""
        count = len(index)
        other, noisy = rng.integers(0, len(self), (2, count))
        pose, root = self.pose[index].copy(), self.root[index]
        swap = rng.random(count) < 0.5
        pose[np.ix_(swap, _LOWER)] = self.pose[other[swap]][:, _LOWER]
        turn = np.zeros((count, 3))
        turn[:, 1] = rng.uniform(-np.pi, np.pi, count)
        root = root @ matrix_from_axis_angle(turn)
        if self._recorded is not None:
            natural = np.flatnonzero(rng.random(count) < _RECORDED_SHARE)
            pose[natural] = widened(self._recorded, len(natural), rng)
            root[natural] = wide_views(matrix_from_axis_angle(pose[natural, 0]), rng)
        betas = self.betas[other]
        pelvis = self.pelvis[index] * np.exp(rng.normal(0, 0.15, count))[:, None]
        body = self.truth(pose, root, betas)
        xyz = self.landmarks @ body
        placed = xyz + pelvis[:, None]
        rays = placed[..., :2] / np.maximum(placed[..., 2:], 0.2)
        strength = rng.uniform(0.0, 1.1, (count, 1, 1)) * (rng.random((count, 1, 1)) > 0.25)
        real = np.flatnonzero(rng.random(count) < real_share) if real_share else np.array([], np.int64)
        world = xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2 + strength * self.residual_3d[noisy]
        if len(real):
            if self._errors is None:
                raise ValueError("real_share needs the errors on real people")
            world[real] = self._errors.world(xyz[real][:, None], rng)[:, 0]
            strength[real] = self._errors.pixels / self.pixels * rng.uniform(0.6, 1.6, (len(real), 1, 1))
        rays = rays + strength * self.residual_2d[noisy] * self.scale[index, None, None]
        confidence = self.points[noisy, :, 2] ** strength[:, 0]
        seen = normalise(rays, confidence, world)
        aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
        return seen.points, pose, aimed @ root, betas, np.einsum("nab,nb->na", aimed, pelvis), seen.scale


def upright_views(root: Floats, rng: np.random.Generator) -> Floats:
    """Rotations [N,3,3] of the y-up world seen from any side by a camera that is nearly level."""
    return _seen_from(root, rng.normal(0.05, 0.2, len(root)), rng)


def wide_views(root: Floats, rng: np.random.Generator) -> Floats:
    """Likewise, by cameras of which two in five look up or down; one person in twenty is turned anyhow, lying or
    upside down."""
    count = len(root)
    pitch = np.where(rng.random(count) < _LEVEL, rng.normal(0.05, 0.2, count), rng.uniform(*_PITCH_RAD, count))
    any_axis = rng.normal(size=(count, 3))
    any_axis *= rng.uniform(0, np.pi, (count, 1)) / np.linalg.norm(any_axis, axis=-1, keepdims=True)
    fallen = (rng.random(count) < _FALLEN)[:, None, None]
    return _seen_from(np.where(fallen, matrix_from_axis_angle(any_axis) @ root, root), pitch, rng)


def _seen_from(root: Floats, pitch: Floats, rng: np.random.Generator) -> Floats:
    count = len(root)
    turns = np.zeros((2, count, 3))
    turns[0, :, 1] = rng.uniform(-np.pi, np.pi, count)
    turns[1, :, 0] = pitch
    yaw, tilt = matrix_from_axis_angle(turns)
    return np.asarray(tilt @ _FACING @ yaw @ root)


def with_true_keypoints(bank: PairBank, index: Ints, depth: bool) -> Batch:
    """The people of `index` with the projections of what the landmarks stand for, instead of what BlazePose says;
    `depth`: with the true 3D landmarks too."""
    root, pose, betas, pelvis = bank.root[index], bank.pose[index].copy(), bank.betas[index], bank.pelvis[index]
    assert bank.landmarks is not None
    xyz = bank.landmarks @ bank.truth(pose, root, betas)
    placed = xyz + pelvis[:, None]
    world = (xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2) * float(depth)
    seen = normalise(placed[..., :2] / placed[..., 2:], np.ones(xyz.shape[:2]), world)
    aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
    pose[:, 0] = axis_angle_from_matrix(_FACING @ aimed @ root)
    tensors = (
        seen.points, np.log(seen.scale), pose, betas, np.einsum("nab,nb->na", aimed, pelvis), seen.scale,
    )  # fmt: skip
    return Batch(*(torch.as_tensor(a, dtype=torch.float32) for a in tensors))


def _jitter(points: Floats, size: float, rng: np.random.Generator) -> None:
    """Noise on key points [B,33,6] in place, by a random part of `size` a person; a quarter stays as it is."""
    count = len(points)
    part = size * rng.random((count, 1, 1)) * (rng.random((count, 1, 1)) > 0.25)
    points[..., :2] += part * rng.normal(size=(count, 33, 2))
    points[..., 3:] += 1.5 * part * rng.normal(size=(count, 33, 3))
    confidence = points[..., 2] + 3 * part[..., 0] * rng.normal(size=(count, 33))
    points[..., 2] = np.where(part[..., 0] > 0, np.clip(confidence, 0.0, 1.0), points[..., 2])


def _turned(
    points: Floats, pose: Floats, root: Floats, pelvis: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Half of the people mirrored, all of them rolled about the optical axis."""
    count = len(points)
    flip = rng.random(count) < 0.5
    points, pose, root, pelvis = points.copy(), pose.copy(), root.copy(), pelvis.copy()
    points[flip] = points[flip][:, BLAZEPOSE_MIRRORED] * np.array([-1.0, 1, 1, -1, 1, 1])
    pose[flip] = pose[flip][:, SMPL_MIRRORED] * np.array([1.0, -1.0, -1.0])
    M = np.diag([-1.0, 1.0, 1.0])
    root[flip] = M @ root[flip] @ M
    pelvis[flip] *= [-1.0, 1.0, 1.0]
    angle = np.where(rng.random(count) < 0.15, rng.uniform(-np.pi, np.pi, count), rng.normal(0, 0.15, count))
    roll = matrix_from_axis_angle(np.stack([0 * angle, 0 * angle, angle], -1))
    points[..., :2] = np.einsum("nab,npb->npa", roll[:, :2, :2], points[..., :2])
    points[..., 3:] = np.einsum("nab,npb->npa", roll, points[..., 3:])
    return points, pose, roll @ root, np.einsum("nab,nb->na", roll, pelvis)


def fit_landmarks(points_2d: Floats, landmarks_2d: Floats, confidence: Floats) -> Floats:
    """Weights W [33,P], non-negative, rows sum to 1, with W @ points_2d [N,P,2] ~ landmarks_2d [N,33,2].

    Unsure landmarks and the worst of the rest are left out.
    """
    P = points_2d.shape[1]
    W = np.zeros((landmarks_2d.shape[1], P))
    for k in range(len(W)):
        sure = confidence[:, k] > _SURE
        keep = sure
        for share in _KEEP:  # the first solution tells which are outliers
            W[k] = _convex(points_2d[keep], landmarks_2d[keep, k])
            error = np.linalg.norm(np.einsum("npc,p->nc", points_2d, W[k]) - landmarks_2d[:, k], axis=-1)
            keep = sure & (error <= np.quantile(error[sure], share))
    return W


def _convex(points_2d: Floats, target: Floats) -> Floats:
    """Non-negative weights [P] with sum 1."""
    P = points_2d.shape[1]
    A = np.concatenate([points_2d.transpose(0, 2, 1).reshape(-1, P), np.full((1, P), _SUM_WEIGHT)])
    w = nnls(A.T @ A, A.T @ np.r_[target.reshape(-1), _SUM_WEIGHT], maxiter=20 * P)[0]
    return np.asarray(w / w.sum())
