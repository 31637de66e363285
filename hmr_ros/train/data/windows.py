"""Training windows for the diffusion prior.

Tracked rendered people as sequences; synthetic motions with others' landmark errors; what the posture networks and the
fit say about both; and the bank that windows are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.coarse import coarse_of, sparse_pairs, sparse_points
from hmr_ros.body.fitting import Fitted, PointFitter
from hmr_ros.body.joints import BLAZEPOSE_MIRRORED, SMPL_MIRRORED
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import NUM_BETAS, BodyModel, forward_kinematics
from hmr_ros.errors import InputError
from hmr_ros.evidence.features import NUM_FEATURES, SLOT_S, evidence_features, mirrored, rolled
from hmr_ros.evidence.keypoints import Normalised, normalise
from hmr_ros.evidence.leans import NO_LEANS
from hmr_ros.evidence.record import Posture
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.methods.posturehmr.recovery import directed
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.methods.scorehmr.prior import PriorSize
from hmr_ros.synth.people import view_rotation
from hmr_ros.synth.poses import PoseSampler, Recorded
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.landmark_errors import RealErrors
from hmr_ros.train.data.pairs import PairSet, seen_of, taken
from hmr_ros.types import Floats, Ints

TARGETS = 3  # neighbouring frames of one window that are trained together, so that their motion can be judged
_LOST = 0.5
DECODER_STEPS = 2  # as live
_CHUNK = 32  # people fitted at once
_SHAPE_EVERY = 3  # frames from which the shape of a piece of motion is learned
_SIGMA_BETAS, _SIGMA_SETTLED = 0.5, 0.2  # of a person's shape around what is known: nothing, a track for a while
_TIME_SCALES = (0.5, 0.3, 0.2)  # shares of the synthetic motions at once, twice, three times the recorded speed
_TIME_SCALED = 0.6  # share of the people seen at 15 Hz that are taken to be seen at 30 Hz
_FILLED = 0.4  # share of the people with as many frames before the target as there are: live it is always so
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_MIRRORED_COLUMNS = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])


@dataclass(frozen=True)
class Moving:
    """Q people over T frames, each frame in the axes of a camera aimed at the person."""

    points: Floats  # [Q,T,33,6] as in evidence.keypoints
    scale: Floats  # [Q,T]
    aim: Floats  # [Q,T,3,3] R_camera_aimed
    leans: Floats  # [Q,T,12,2] as in `Normalised`; an infinite sigma where nothing is known
    rotations: Floats  # [Q,T,24,3,3] local, the first body -> aimed camera
    betas: Floats  # [Q,10]
    seconds: Floats  # [Q] from frame to frame
    rows: Ints  # [Q*T] where the frames lie among the pairs they come from; empty for synthetic motions

    def __len__(self) -> int:
        return len(self.points)


def moving_people(pairs: PairSet) -> Moving:
    """The complete sequences of `pairs` in which the person was never lost."""
    starts = np.flatnonzero((pairs.time == 0) & (pairs.sequence >= 0))
    if not len(starts):
        raise InputError("these pairs hold no pieces of motion; make some with: hmr train pairs --frames 12")
    ends = np.r_[starts[1:], len(pairs)]
    length = int(np.median(ends - starts))
    kept = [s for s, e in zip(starts, ends, strict=True) if e - s == length and (pairs.score[s:e] > _LOST).all()]
    if length < TARGETS or not kept:
        raise InputError(
            f"these pairs hold no piece of {TARGETS} frames or more in which the person was never lost; make some with:"
            " hmr train pairs --frames 12"
        )
    rows = np.array(kept)[:, None] + np.arange(length)
    seen, shape = seen_of(taken(pairs, rows.reshape(-1))), rows.shape
    rotations = matrix_from_axis_angle(pairs.pose[rows].reshape(*shape, 24, 3))
    aim = seen.R_camera_aimed.reshape(*shape, 3, 3)
    rotations[..., 0, :, :] = np.swapaxes(aim, -1, -2) @ rotations[..., 0, :, :]
    points, leans = seen.points.reshape(*shape, 33, 6), _leans(seen).reshape(*shape, *NO_LEANS.shape)
    seconds = pairs.time[rows[:, 1]].astype(np.float64)
    betas = pairs.betas[rows[:, 0]]
    return Moving(points, seen.scale.reshape(shape), aim, leans, rotations, betas, seconds, rows.reshape(-1))


def synthetic_motions(
    bank: PairBank, pairs: Moving, sampler: PoseSampler, rng: np.random.Generator, count: int,
    errors: RealErrors | None = None, real_share: float = 0.0,
) -> Moving:  # fmt: skip
    """`count` recorded motions before random cameras, with the landmark errors of other sequences, or for `real_share`
    of them with `errors` as on real people.

    `bank` holds the frames of `pairs` in the same order.
    """
    assert bank.landmarks is not None
    T = pairs.points.shape[1]
    scales = rng.choice(len(_TIME_SCALES), count, p=_TIME_SCALES) + 1
    motion = [sampler.motion(T, rng.random() < 0.25, int(scale)) for scale in scales]
    poses, trans, steps = (np.array([m[k] for m in motion]) for k in range(3))
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
    world = xyz - (xyz[:, [23]] + xyz[:, [24]]) / 2 + strength * bank.residual_3d[rows]
    if errors is not None and real_share:
        for step in np.unique(steps).tolist():
            real = np.flatnonzero((rng.random(count) < real_share) & (steps == step))
            own = (real[:, None] * T + np.arange(T)).reshape(-1)
            said = errors.world(xyz[own].reshape(len(real), T, 33, 3), rng, step)
            world[own] = said.reshape(-1, 33, 3)
            strength[own] = errors.pixels / bank.pixels * np.repeat(rng.uniform(0.6, 1.6, len(real)), T)[:, None, None]
    rays = rays + strength * bank.residual_2d[rows] * bank.scale[rows, None, None]
    seen = normalise(rays, bank.points[rows, :, 2], world)
    rotations = matrix_from_axis_angle(poses)
    aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
    rotations[:, :, 0] = (aimed @ root).reshape(count, T, 3, 3)
    seconds, leans = steps * SLOT_S, np.tile(NO_LEANS, (count, T, 1, 1))
    return Moving(
        seen.points.reshape(count, T, 33, 6), seen.scale.reshape(count, T),
        seen.R_camera_aimed.reshape(count, T, 3, 3), leans, rotations, betas, seconds, np.array([], np.int64),
    )  # fmt: skip


@dataclass(frozen=True)
class WindowBatch:
    """B people, `TARGETS` neighbouring frames of each."""

    window: Tensor  # [B*TARGETS,S,768] features on a grid of 1/30 s around each target
    poses: Tensor  # [B*TARGETS,S,144] recovered there, in the axes of the target's camera
    present: Tensor  # [B*TARGETS,S]
    x0: Tensor  # [B*TARGETS,144]
    rest: Tensor  # [B,24,3] m, joints of the T-pose
    joints: Tensor  # [B,TARGETS,24,3] m, pelvis at the origin, aimed axes
    fitted_rest: Tensor  # [B,24,3] m, likewise of the shape that was fitted
    depth: Tensor  # [B*TARGETS] m of the pelvis, as recovered


class WindowBank:
    """Sequences with everything that the stages before the prior say about them, ready to be drawn from."""

    def __init__(self, people: list[Moving], network: PostureNetwork, fitter: PointFitter, body: BodyModel,
                 point_pairs: Ints, size: PriorSize) -> None:  # fmt: skip
        self.size, self._point_pairs = size, point_pairs
        self.seconds = np.concatenate([p.seconds for p in people])
        found = [recovered(p, network, fitter) for p in people]
        self.features = np.concatenate([f.features for f in found])  # [Q,T,768]
        self.poses = np.concatenate([f.poses for f in found])  # [Q,T,144] recovered, camera axes
        self.depth = _steadied(np.concatenate([f.depth for f in found])).astype(np.float32)  # [Q,T] m
        shapes = np.concatenate([f.betas.mean(1) for f in found])
        self.fitted_rest = body.rest_joints(shapes).astype(np.float32)  # [Q,24,3] m
        self.aim = np.concatenate([p.aim for p in people]).astype(np.float32)
        self.rotations = np.concatenate([p.rotations for p in people]).astype(np.float32)
        self.rest = np.concatenate([body.rest_joints(p.betas) for p in people]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.features)

    def statistics(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation [768 + 144] of features and recovered poses."""
        some = slice(None, None, max(1, len(self) // 4000))
        aimed = _turned_root(self.poses[some], np.swapaxes(self.aim[some], -1, -2))
        sample = np.concatenate([self.features[some].astype(np.float64), aimed], -1)
        sample = sample.reshape(-1, sample.shape[-1])
        return sample.mean(0), sample.std(0) + 0.02

    def batch(self, index: Ints, rng: np.random.Generator, *, first: int | None = None, past: int | None = None,
              future: int | None = None, turn: bool = True) -> WindowBatch:  # fmt: skip
        """Windows of the sequences `index`; what is not given is drawn: the first target, how many frames before the
        target are known, how many after it."""
        B, T, S = len(index), self.features.shape[1], self.size.slots
        own = self.size.past - 1
        last = T - TARGETS
        begin = rng.integers(0, last + 1, B) if first is None else np.full(B, first)
        if first is None:
            begin[rng.random(B) < _FILLED] = last
        before = np.full(B, own) if past is None else np.full(B, past)
        after = np.full(B, 0 if future is None else future)
        if past is None and first is None:
            cut = rng.random(B) < 0.15
            before[cut] = rng.integers(0, own + 1, cut.sum())
        if future is None and first is None:
            later = rng.random(B) < 0.4
            after[later] = rng.integers(1, self.size.future + 1, later.sum())
        step = np.round(self.seconds[index] / SLOT_S).astype(int)  # 1 or 2 slots a frame
        if turn:  # some people move twice as fast as they did: recorded motion is slow
            step = np.where(rng.random(B) < _TIME_SCALED, 1, step)
        slots, poses, known = self._grid(index, begin, step)
        seen = (step[:, None] * np.arange(TARGETS))[:, :, None] + np.arange(S)  # [B,TARGETS,S] into the grid
        offset = np.arange(S) - own
        present = np.take_along_axis(known, seen.reshape(B, -1), 1).reshape(seen.shape)
        present = present & (offset >= -before[:, None, None]) & (offset <= after[:, None, None])
        frames = begin[:, None] + np.arange(TARGETS)
        rotations = self.rotations[index[:, None], frames].copy()
        back = np.swapaxes(self.aim[index[:, None], frames], -1, -2)  # camera -> aimed at the target
        if turn:
            angle = np.where(rng.random(B) < 0.1, rng.uniform(-np.pi, np.pi, B), rng.normal(0, 0.12, B))
            slots = rolled(slots, angle)
            roll = matrix_from_axis_angle(np.stack([0 * angle, 0 * angle, angle], -1)).astype(np.float32)[:, None]
            back, rotations[:, :, 0] = roll @ back, roll @ rotations[:, :, 0]
        rows = np.arange(B)[:, None, None]
        window, around = slots[rows, seen], _turned_root(poses[rows, seen], back[:, :, None])
        rest, fitted = self.rest[index], self.fitted_rest[index]
        if turn:
            flip = rng.random(B) < 0.5
            window[flip] = mirrored(window[flip], BLAZEPOSE_MIRRORED, self._point_pairs)
            around[flip], rotations[flip] = _mirrored_6d(around[flip]), _mirrored(rotations[flip])
            for bones in (rest, fitted):
                bones[flip] = bones[flip][:, SMPL_MIRRORED] * [-1.0, 1.0, 1.0]
        joints = forward_kinematics(rotations.reshape(-1, 24, 3, 3), np.repeat(rest, TARGETS, 0))[1]
        joints = (joints - joints[:, :1]).reshape(B, TARGETS, 24, 3)
        flat = (a.reshape(B * TARGETS, *a.shape[2:]) for a in (window, around, present, _to_6d(rotations)))
        depth = self.depth[index[:, None], frames].reshape(-1)
        all_of_it = (*flat, rest, joints, fitted, depth)
        return WindowBatch(*(torch.as_tensor(a, dtype=torch.float32) for a in all_of_it))

    def _grid(self, index: Ints, begin: Ints, step: Ints) -> tuple[Floats, Floats, Floats]:
        """Features [B,G,768] and recovered poses [B,G,144] at 1/30 s from the first slot of the first target on, and
        which are known [B,G]."""
        T = self.features.shape[1]
        G = self.size.slots + 2 * (TARGETS - 1)
        place = begin[:, None] + (np.arange(G) - (self.size.past - 1)) / step[:, None]
        low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
        known = (low >= 0) & (high < T)
        half = (high > low) & known
        wide = np.broadcast_to(index[:, None], place.shape)
        out = []
        for source in (self.features, self.poses):
            a = source[wide, np.clip(low, 0, T - 1)].astype(np.float32)
            a[half] = 0.5 * (a[half] + source[wide[half], high[half]])
            out.append(a)
        return out[0], out[1], known


def window_bank(
    pairs: PairSet, size: PriorSize, recorded: Recorded | None, synthetic: int, rng: np.random.Generator, *,
    mesh2d: Path | None = None, m2p: Path | None = None, errors: RealErrors | None = None, real_share: float = 0.0,
) -> WindowBank:  # fmt: skip
    """Sequences of `pairs` and `synthetic` recorded motions with others' landmark errors (or `errors`, as in
    `synthetic_motions`), as the 2D mesh network and the decoder of these weight files see them (None: the shipped
    ones)."""
    body = load_body(None)
    weights = {"mesh2d": mesh2d, "m2p": m2p}
    network = torch_posture(DECODER_STEPS, {name: path for name, path in weights.items() if path is not None})
    mesh = coarse_of(body)
    moving = moving_people(pairs)
    people = [moving]
    if recorded is not None and synthetic:
        landmarks = load_mesh2d(mesh2d or asset("mesh2d.safetensors")).landmarks.double().numpy()
        bank = PairBank(taken(pairs, moving.rows), body, mesh, landmarks)
        people.append(synthetic_motions(bank, moving, PoseSampler(recorded, rng), rng, synthetic, errors, real_share))
    return WindowBank(people, network, PointFitter(sparse_points(body, mesh)), body, sparse_pairs(mesh), size)


@dataclass(frozen=True)
class Recovered:
    """What the stages before say of Q people over T frames."""

    features: Floats  # [Q,T,768] (float16)
    poses: Floats  # [Q,T,144] fitted, camera axes (float32)
    depth: Floats  # [Q,T] m of the pelvis, aimed axes
    betas: Floats  # [Q,T,10]


def recovered(people: Moving, network: PostureNetwork, fitter: PointFitter) -> Recovered:
    """Everybody through the posture networks and the fit."""
    Q, T = people.scale.shape
    features, poses = np.empty((Q, T, NUM_FEATURES), np.float16), np.empty((Q, T, 144), np.float32)
    depth, betas = np.empty((Q, T)), np.empty((Q, T, NUM_BETAS))
    count = max(1, _CHUNK // T)
    for i in range(0, Q, count):
        own = slice(i, i + count)
        aim = people.aim[own].reshape(-1, 3, 3)
        leans = people.leans[own].reshape(-1, *NO_LEANS.shape)
        seen = Normalised(people.points[own].reshape(-1, 33, 6), people.scale[own].reshape(-1), aim, leans)
        posture = network(seen.points, np.log(seen.scale))
        found = _fitted(seen, posture, fitter, T)
        rotations = found.rotations.copy()
        rotations[:, 0] = aim @ rotations[:, 0]
        features[own] = evidence_features(seen, posture).reshape(-1, T, NUM_FEATURES)
        poses[own] = _to_6d(rotations).reshape(-1, T, 144)
        depth[own] = found.pelvis[:, 2].reshape(-1, T)
        betas[own] = found.betas.reshape(-1, T, NUM_BETAS)
    return Recovered(features, poses, depth, betas)


def _fitted(seen: Normalised, posture: Posture, fitter: PointFitter, frames: int) -> Fitted:
    """With the bones' directions, as the pipeline fits; a piece of motion has one shape, the mean of some frames, where
    a track would learn it frame by frame."""
    betas, sigma = np.zeros((len(seen.points), NUM_BETAS)), _SIGMA_BETAS
    if frames > 1:
        some = np.flatnonzero(np.arange(len(betas)) % frames % _SHAPE_EVERY == 0)
        part = Normalised(seen.points[some], seen.scale[some], seen.R_camera_aimed[some], _leans(seen)[some])
        found = fitter(directed(part, _rows(posture, some), betas[some], np.ones(len(some)))).betas
        betas = np.repeat(found.reshape(len(betas) // frames, -1, NUM_BETAS).mean(1), frames, 0)
        sigma = _SIGMA_SETTLED
    return fitter(directed(seen, posture, betas, np.full(len(betas), sigma)))


def _leans(seen: Normalised) -> Floats:
    """[N,12,2], of whom nothing is known too."""
    return np.tile(NO_LEANS, (len(seen.points), 1, 1)) if seen.leans is None else seen.leans


def _steadied(depth: Floats) -> Floats:
    """Depths [Q,T] at a constant speed each, as a window steadies them."""
    T = depth.shape[1]
    line = np.stack([np.ones(T), np.arange(T) - (T - 1) / 2], 1)
    return np.asarray(np.exp(np.log(depth) @ np.linalg.pinv(line).T @ line.T))


def _rows(posture: Posture, rows: Ints) -> Posture:
    return Posture(*(getattr(posture, f.name)[rows] for f in fields(Posture)))


def _turned_root(poses: Floats, R: Floats) -> Floats:
    """6D poses [...,144] with the first joint turned by `R` [...,3,3]."""
    first = poses[..., :6].reshape(*poses.shape[:-1], 2, 3) @ np.swapaxes(R, -1, -2)
    return np.concatenate([first.reshape(*first.shape[:-2], 6), poses[..., 6:]], -1)


def _mirrored(rotations: Floats) -> Floats:
    """[...,24,3,3] with left and right in each other's place."""
    return np.asarray(_MIRROR @ rotations[..., SMPL_MIRRORED, :, :] @ _MIRROR, rotations.dtype)


def _mirrored_6d(poses: Floats) -> Floats:
    """[...,144] likewise: columns one and two of the mirrored rotations."""
    columns = poses.reshape(*poses.shape[:-1], 24, 2, 3)[..., SMPL_MIRRORED, :, :] * _MIRRORED_COLUMNS
    return np.asarray(columns.reshape(poses.shape), poses.dtype)


def _to_6d(rotations: Floats) -> Floats:
    """[...,24,3,3] -> [...,144]."""
    columns = np.swapaxes(rotations[..., :2], -1, -2)
    return columns.reshape(*columns.shape[:-3], -1)
