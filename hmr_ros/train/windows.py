"""Windows of frames for the diffusion prior: tracked people as sequences, with invented ones mixed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.networks.prior import PriorSize
from hmr_ros.posture.evidence import evidence_features, rolled
from hmr_ros.posture.features import Normalised, normalise
from hmr_ros.posture.networks import PostureNetwork
from hmr_ros.train.batches import LANDMARKS_MIRRORED, PairBank
from hmr_ros.train.pairs import PairSet
from hmr_ros.train.people import view_rotation
from hmr_ros.train.poses import MIRRORED, PoseSampler
from hmr_ros.types import Floats, Ints

SLOT_S = 1 / 30
TARGETS = 3  # neighbouring frames of one window that are trained together, so that their motion can be judged
_LOST = 0.5
_CHUNK = 1024
_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Moving:
    """Q people over T frames, each frame in the axes of a camera aimed at the person."""

    points: Floats  # [Q,T,33,6] as in posture.features
    scale: Floats  # [Q,T]
    aim: Floats  # [Q,T,3,3] R_camera_aimed
    rotations: Floats  # [Q,T,24,3,3] local, the first body -> aimed camera
    betas: Floats  # [Q,10]
    seconds: Floats  # [Q] from frame to frame
    rows: Ints  # [Q*T] where the frames lie among the pairs they come from; empty for invented people

    def __len__(self) -> int:
        return len(self.points)


def moving_people(pairs: PairSet) -> Moving:
    """The complete sequences of `pairs` in which the person was never lost."""
    starts = np.flatnonzero((pairs.time == 0) & (pairs.sequence >= 0))
    if not len(starts):
        raise ValueError("these pairs hold no sequences; make them with: hmr train pairs --frames 12")
    ends = np.r_[starts[1:], len(pairs)]
    length = int(np.median(ends - starts))
    kept = [s for s, e in zip(starts, ends, strict=True) if e - s == length and (pairs.score[s:e] > _LOST).all()]
    rows = np.array(kept)[:, None] + np.arange(length)
    K, keypoints = pairs.K[rows].astype(np.float64), pairs.keypoints_2d[rows].astype(np.float64)
    focal, center = K[..., [0, 1], [0, 1]], K[..., :2, 2]
    rays = (keypoints[..., :2] - center[:, :, None]) / focal[:, :, None]
    shape = rays.shape[:2]
    seen = normalise(
        rays.reshape(-1, 33, 2), keypoints[..., 2].reshape(-1, 33), pairs.keypoints_3d[rows].reshape(-1, 33, 3)
    )
    rotations = matrix_from_axis_angle(pairs.pose[rows].reshape(*shape, 24, 3))
    aim = seen.R_camera_aimed.reshape(*shape, 3, 3)
    rotations[..., 0, :, :] = np.swapaxes(aim, -1, -2) @ rotations[..., 0, :, :]
    points = seen.points.reshape(*shape, 33, 6)
    seconds = pairs.time[rows[:, 1]].astype(np.float64)
    return Moving(points, seen.scale.reshape(shape), aim, rotations, pairs.betas[rows[:, 0]], seconds, rows.reshape(-1))


def invented_people(
    bank: PairBank, pairs: Moving, sampler: PoseSampler, rng: np.random.Generator, count: int
) -> Moving:
    """`count` recorded motions before random cameras, with the landmark errors of other sequences.

    `bank` holds the frames of `pairs` in the same order.
    """
    assert bank.landmarks is not None
    T = pairs.points.shape[1]
    motion = [sampler.motion(T, plain=rng.random() < 0.5) for _ in range(count)]
    poses, trans = np.array([m[0] for m in motion]), np.array([m[1] for m in motion])
    views = np.array([view_rotation(rng, plain=True) for _ in range(count)])
    noisy = rng.integers(0, len(pairs), count)
    rows = (noisy[:, None] * T + np.arange(T)).reshape(-1)
    root = (views[:, None] @ matrix_from_axis_angle(poses[:, :, 0])).reshape(-1, 3, 3)
    walk = np.einsum("qab,qtb->qta", views, trans - trans[:, [T // 2]])
    far = bank.pelvis[rows].reshape(count, T, 3)[:, [T // 2]] * np.exp(rng.normal(0, 0.15, (count, 1, 1)))
    pelvis = (far + walk).reshape(-1, 3)
    pelvis[:, 2] = np.maximum(pelvis[:, 2], 0.8)
    betas = pairs.betas[rng.integers(0, len(pairs), count)]
    flat = poses.reshape(-1, 24, 3)
    wide = np.repeat(betas, T, 0)
    body = [bank.truth(flat[i : i + _CHUNK], root[i : i + _CHUNK], wide[i : i + _CHUNK])
            for i in range(0, len(flat), _CHUNK)]  # fmt: skip
    xyz = bank.landmarks @ np.concatenate(body)
    placed = xyz + pelvis[:, None]
    rays = placed[..., :2] / np.maximum(placed[..., 2:], 0.2)
    strength = np.repeat(rng.uniform(0.3, 1.1, count), T)[:, None, None]
    rays = rays + strength * bank.residual_2d[rows] * bank.scale[rows, None, None]
    world = xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2 + strength * bank.residual_3d[rows]
    seen = normalise(rays, bank.points[rows, :, 2], world)
    rotations = matrix_from_axis_angle(poses)
    aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
    rotations[:, :, 0] = (aimed @ root).reshape(count, T, 3, 3)
    seconds = np.array([m[2] * SLOT_S for m in motion])
    return Moving(
        seen.points.reshape(count, T, 33, 6), seen.scale.reshape(count, T),
        seen.R_camera_aimed.reshape(count, T, 3, 3), rotations, betas, seconds, np.array([], np.int64),
    )  # fmt: skip


def mirrored(people: Moving) -> Moving:
    """Left and right change places."""
    points = people.points[:, :, LANDMARKS_MIRRORED] * np.array([-1.0, 1, 1, -1, 1, 1])
    rotations = _MIRROR @ people.rotations[:, :, MIRRORED] @ _MIRROR
    return replace(people, points=points, rotations=rotations, aim=_MIRROR @ people.aim @ _MIRROR)


@dataclass(frozen=True)
class WindowBatch:
    """B people, `TARGETS` neighbouring frames of each."""

    slots: Tensor  # [B,G,768] features on a grid of 1/30 s
    present: Tensor  # [B,TARGETS,S]
    index: Tensor  # [B,TARGETS,S] which slots each target sees
    x0: Tensor  # [B,TARGETS,144]
    rest: Tensor  # [B,24,3] m, joints of the T-pose
    joints: Tensor  # [B,TARGETS,24,3] m, pelvis at the origin, aimed axes


class WindowBank:
    """Sequences with everything that the networks before the prior say about them, ready to be drawn from."""

    def __init__(self, people: list[Moving], network: PostureNetwork, body: BodyModel, size: PriorSize) -> None:
        self.size = size
        self.seconds = np.concatenate([p.seconds for p in people])
        self.features = np.concatenate([_features(p, network) for p in people])
        self.rotations = np.concatenate([p.rotations for p in people]).astype(np.float32)
        self.rest = np.concatenate([body.rest_joints(p.betas) for p in people]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.features)

    def statistics(self) -> tuple[Floats, Floats, Floats]:
        """Mean and spread [768] of the features, mean pose [144]."""
        sample = self.features[:: max(1, len(self) // 4000)].reshape(-1, self.size.features).astype(np.float64)
        pose = self.rotations[:: max(1, len(self) // 4000)]
        return sample.mean(0), sample.std(0) + 0.02, _to_6d(pose).reshape(-1, 144).mean(0)

    def batch(self, index: Ints, rng: np.random.Generator, *, first: int | None = None, past: int | None = None,
              future: int | None = None, turn: bool = True) -> WindowBatch:  # fmt: skip
        """Windows of the sequences `index`; what is not given is drawn: the first target, how many frames before the
        target are known, how many after it."""
        B, T, S = len(index), self.features.shape[1], self.size.slots
        own = self.size.past - 1
        begin = np.full(B, first) if first is not None else rng.integers(0, T - TARGETS + 1, B)
        before = np.full(B, own) if past is None else np.full(B, past)
        after = np.full(B, 0 if future is None else future)
        if past is None and first is None:
            cut = rng.random(B) < 0.15
            before[cut] = rng.integers(0, own + 1, cut.sum())
        if future is None and first is None:
            later = rng.random(B) < 0.4
            after[later] = rng.integers(1, self.size.future + 1, later.sum())
        step = np.round(self.seconds[index] / SLOT_S).astype(int)  # 1 or 2 slots a frame
        slots, known = self._grid(index, begin, step)
        at = step[:, None] * np.arange(TARGETS)  # slot of each target, counted from the first
        seen = at[:, :, None] + np.arange(S)  # [B,TARGETS,S] into the grid
        offset = np.arange(S) - own
        present = np.take_along_axis(known, seen.reshape(B, -1), 1).reshape(seen.shape)
        present = present & (offset >= -before[:, None, None]) & (offset <= after[:, None, None])
        frames = begin[:, None] + np.arange(TARGETS)
        rotations = self.rotations[index[:, None], frames].copy()
        rest = self.rest[index]
        if turn:
            angle = np.where(rng.random(B) < 0.1, rng.uniform(-np.pi, np.pi, B), rng.normal(0, 0.12, B))
            slots = rolled(slots, angle)
            roll = matrix_from_axis_angle(np.stack([0 * angle, 0 * angle, angle], -1)).astype(np.float32)
            rotations[:, :, 0] = roll[:, None] @ rotations[:, :, 0]
        flat = np.repeat(rest, TARGETS, 0)
        joints = forward_kinematics(rotations.reshape(-1, 24, 3, 3), flat)[1]
        joints = (joints - joints[:, :1]).reshape(B, TARGETS, 24, 3)
        arrays = (slots, present, seen, _to_6d(rotations), rest, joints)
        return WindowBatch(*(torch.as_tensor(a, dtype=torch.int64 if a is seen else torch.float32) for a in arrays))

    def _grid(self, index: Ints, begin: Ints, step: Ints) -> tuple[Floats, Floats]:
        """Features [B,G,768] at 1/30 s from the first slot of the first target on, and which are known [B,G]."""
        T = self.features.shape[1]
        G = self.size.slots + 2 * (TARGETS - 1)
        place = begin[:, None] + (np.arange(G) - (self.size.past - 1)) / step[:, None]
        low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
        known = (low >= 0) & (high < T)
        a = self.features[index[:, None], np.clip(low, 0, T - 1)].astype(np.float32)
        half = (high > low) & known
        if half.any():
            b = self.features[np.broadcast_to(index[:, None], place.shape)[half], high[half]].astype(np.float32)
            a[half] = 0.5 * (a[half] + b)
        return a, known


def _features(people: Moving, network: PostureNetwork) -> Floats:
    """[Q,T,768] as float16."""
    Q, T = people.scale.shape
    points, scale = people.points.reshape(-1, 33, 6), people.scale.reshape(-1)
    aim = people.aim.reshape(-1, 3, 3)
    out = np.empty((Q * T, 768), np.float16)
    for i in range(0, len(points), _CHUNK):
        seen = Normalised(points[i : i + _CHUNK], scale[i : i + _CHUNK], aim[i : i + _CHUNK])
        out[i : i + _CHUNK] = evidence_features(seen, network(seen.points, np.log(seen.scale)))
    return out.reshape(Q, T, 768)


def _to_6d(rotations: Floats) -> Floats:
    """[...,24,3,3] -> [...,144]."""
    columns = np.swapaxes(rotations[..., :2], -1, -2)
    return columns.reshape(*columns.shape[:-3], -1)
