"""Random people before random cameras, standing or moving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import roi_from_points
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.perception.detector import BODY_SCALE
from hmr_ros.synth.poses import PoseSampler
from hmr_ros.types import Floats, Roi

_FACING = np.diag([1.0, -1.0, -1.0])  # y-up body in T-pose -> facing a camera with y down
_MIN_DEPTH_M = 0.35
_MOTION_FPS = 30.0
_WIDEST = 2.5  # sides of the rendered window against the roi


@dataclass(frozen=True)
class Person:
    """A person in the camera frame and the part of the image that a landmark network sees."""

    pose: Floats  # [72] rad, global_orient in the camera frame
    betas: Floats  # [10]
    transl: Floats  # [3] m
    vertices: Floats  # [V,3] m
    joints: Floats  # [24,3] m
    K: Floats  # [3,3] of the window
    size: tuple[int, int]  # width, height [px] of the window
    roi: Roi  # in pixels of the window
    up: Floats  # [3] unit, away from the floor, camera axes


def random_person(body: BodyModel, sampler: PoseSampler, rng: np.random.Generator, plain: bool) -> Person:
    """Somebody somewhere in view. `plain` = recorded poses and upright cameras, as in evaluation."""
    while True:
        poses = (sampler.plain() if plain else sampler.augmented())[None]
        found = _people(body, poses, np.zeros((1, 3)), rng, plain)
        if found:
            return found[0]


def random_motion(
    body: BodyModel, sampler: PoseSampler, rng: np.random.Generator, plain: bool, frames: int
) -> tuple[list[Person], float]:
    """Somebody moving before a camera that stands still, and the seconds from frame to frame."""
    while True:
        poses, trans, step = sampler.motion(frames, plain)
        found = _people(body, poses, trans, rng, plain)
        if found:
            return found, step / _MOTION_FPS


def _people(body: BodyModel, poses: Floats, trans: Floats, rng: np.random.Generator, plain: bool) -> list[Person]:
    """One person in poses [F,24,3] at trans [F,3] m of the y-up world, camera frame; empty if it does not fit."""
    betas = np.clip(rng.normal(0.0, 0.6 if plain else 1.0, 10), -2.5, 2.5)
    R = view_rotation(rng, plain)
    poses = poses.copy()
    poses[:, 0] = axis_angle_from_matrix(R @ matrix_from_axis_angle(poses[:, 0]))
    walk = (trans - trans[len(trans) // 2]) @ R.T
    return _place(body, poses, betas, walk, R[:, 1], rng, plain)


def view_rotation(rng: np.random.Generator, plain: bool) -> Floats:
    """Rotation y-up world -> camera: any side, camera pitched and rolled; now and then anything at all."""
    if not plain and rng.random() < 0.12:
        return np.asarray(_FACING @ matrix_from_axis_angle(_any_rotation(rng)))
    pitch = rng.normal(3, 8) if plain or rng.random() < 0.75 else rng.uniform(-25, 55)
    roll = rng.normal(0, 2 if plain else 6)
    tilt = matrix_from_axis_angle(np.radians([pitch, 0.0, 0.0]))
    return np.asarray(
        matrix_from_axis_angle(np.radians([0.0, 0.0, roll]))
        @ tilt
        @ _FACING
        @ matrix_from_axis_angle(np.array([0.0, rng.uniform(-np.pi, np.pi), 0.0]))
    )


def _any_rotation(rng: np.random.Generator) -> Floats:
    q = rng.normal(size=4)
    q /= np.linalg.norm(q)
    angle = 2 * np.arccos(np.clip(q[0], -1, 1))
    return np.asarray(q[1:] / max(float(np.linalg.norm(q[1:])), 1e-9) * angle)


def _place(
    body: BodyModel, poses: Floats, betas: Floats, walk: Floats, up: Floats, rng: np.random.Generator, plain: bool
) -> list[Person]:
    """Put the person before a camera, so that the middle frame [walk = 0] has a random size and place."""
    transl = walk - body.rest_joints(betas)[0]
    vertices = np.array([body.vertices(p[0], p[1:].reshape(-1), betas, t) for p, t in zip(poses, transl, strict=True)])
    middle = vertices[len(poses) // 2]
    aspect = rng.choice([4 / 3, 16 / 9, 3 / 4, 9 / 16])
    fov = np.radians(rng.uniform(40, 85))
    W, H = (1.0, 1.0 / aspect) if aspect > 1 else (aspect, 1.0)
    focal = 0.5 * max(W, H) / np.tan(fov / 2)
    extent = max(float(np.ptp(middle[:, 1])), 0.6 * float(np.ptp(middle[:, 0])), 0.7)
    share = rng.uniform(0.3, 0.85) if plain or rng.random() < 0.75 else rng.uniform(0.85, 1.7)
    depth = focal * extent / (share * H)
    free = max(0.0, 1.0 - share)  # a person who fits is mostly inside
    x = rng.uniform(-0.5, 0.5) * W * min(1.0, free + 0.25)
    y = rng.uniform(-0.5, 0.5) * H * (free if share < 0.85 else 0.6)
    shift = np.array([x / focal * depth, y / focal * depth, depth]) - (middle.min(0) + middle.max(0)) / 2
    vertices, transl = vertices + shift, transl + shift
    if vertices[..., 2].min() < _MIN_DEPTH_M:
        return []
    K = np.array([[focal, 0, W / 2], [0, focal, H / 2], [0, 0, 1]])
    people = [
        Person(p.reshape(72), betas, t, v, joints, K, (0, 0), person_roi(v, joints, K, rng), up)
        for p, t, v in zip(poses, transl, vertices, strict=True)
        for joints in [body.joints(p[0], p[1:].reshape(-1), betas, t)]
    ]
    return _window(people, W, H, rng)


def person_roi(vertices: Floats, joints: Floats, K: Floats, rng: np.random.Generator) -> Roi:
    """Where a tracker would search: circle about the mid hip around the whole body, trunk upright, slightly off."""
    px, around = project(joints, K), project(vertices[::7], K)
    hip = (px[1] + px[2]) / 2
    radius = np.linalg.norm(around - hip, axis=1).max() * np.exp(rng.normal(-0.02, 0.06))
    up = (px[16] + px[17]) / 2 - hip
    angle = np.arctan2(up[1], up[0]) + np.radians(rng.normal(0, 6))
    center = hip + rng.normal(0, 0.04, 2) * radius
    return roi_from_points(center, center + radius * np.array([np.cos(angle), np.sin(angle)]), BODY_SCALE)


def _window(people: list[Person], W: float, H: float, rng: np.random.Generator) -> list[Person]:
    """Only the part of the image around the rois is rendered, at a random resolution; empty if somebody leaves it."""
    centers = np.array([p.roi.center_px for p in people])
    size = max(p.roi.size_px for p in people)
    low = np.maximum(centers.min(0) - 0.72 * size, 0.0)
    high = np.minimum(centers.max(0) + 0.72 * size, [W, H])
    seen = np.minimum(centers + 0.72 * size, [W, H]) - np.maximum(centers - 0.72 * size, 0.0)
    if seen.min() < 0.35 * size or (high - low).max() > _WIDEST * size:
        return []
    scale = rng.uniform(110, 300) / size
    width, height = (int(v) for v in np.ceil((high - low) * scale))
    K = people[0].K.copy()
    K[:2] *= scale
    K[:2, 2] -= low * scale
    return [replace(p, K=K, size=(width, height), roi=_moved(p.roi, low, scale)) for p in people]


def _moved(roi: Roi, low: Floats, scale: float) -> Roi:
    return Roi((roi.center_px - low) * scale, roi.size_px * scale, roi.angle_rad)
