"""Random people before random cameras: what the rendered training pictures show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import roi_from_points
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.stages.detect import BODY_SCALE
from hmr_ros.synth.scene import background, clothes
from hmr_ros.train.poses import PoseSampler
from hmr_ros.types import Floats, Image, Roi
from hmr_ros.view.raster import draw_mesh

_FACING = np.diag([1.0, -1.0, -1.0])  # y-up body in T-pose -> facing a camera with y down
_MIN_DEPTH_M = 0.35


@dataclass(frozen=True)
class Person:
    """A person in the camera frame and the part of the picture that a landmark network looks at."""

    pose: Floats  # [72] rad, global_orient in the camera frame
    betas: Floats  # [10]
    transl: Floats  # [3] m
    vertices: Floats  # [V,3] m
    joints: Floats  # [24,3] m
    K: Floats  # [3,3] of the window
    size: tuple[int, int]  # width, height [px] of the window
    roi: Roi  # in pixels of the window


def random_person(body: BodyModel, sampler: PoseSampler, rng: np.random.Generator, plain: bool) -> Person:
    """Somebody somewhere in view. `plain` = recorded poses and upright cameras, as in evaluation."""
    while True:
        pose = sampler.plain() if plain else sampler.augmented()
        betas = np.clip(rng.normal(0.0, 0.6 if plain else 1.0, 10), -2.5, 2.5)
        R = _orientation(rng, plain) @ matrix_from_axis_angle(pose[0])
        pose[0] = axis_angle_from_matrix(R)
        person = _place(body, pose, betas, rng, plain)
        if person is not None:
            return person


def picture(body: BodyModel, person: Person, rng: np.random.Generator) -> Image:
    """The window [h,w,3] BGR with random clothes, light, background, occluders and camera faults."""
    width, height = person.size
    image = _backdrop(width, height, rng)
    colors = _costume(body, rng)
    light = None if rng.random() < 0.2 else np.array([rng.normal(), rng.normal() - 0.7, -abs(rng.normal()) - 0.2])
    draw_mesh(image, _clothed(body, person.vertices, rng), body.faces, person.K, colors, light=light)
    if rng.random() < 0.3:
        _occlude(image, person, rng)
    return _degrade(image, rng)


def _orientation(rng: np.random.Generator, plain: bool) -> Floats:
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


def _place(body: BodyModel, pose: Floats, betas: Floats, rng: np.random.Generator, plain: bool) -> Person | None:
    """Put the person before a camera; None if it does not fit there."""
    transl = -body.rest_joints(betas)[0]
    vertices = body.vertices(pose[0], pose[1:].reshape(-1), betas, transl)
    aspect = rng.choice([4 / 3, 16 / 9, 3 / 4, 9 / 16])
    fov = np.radians(rng.uniform(40, 85))
    W, H = (1.0, 1.0 / aspect) if aspect > 1 else (aspect, 1.0)
    focal = 0.5 * max(W, H) / np.tan(fov / 2)
    extent = max(float(np.ptp(vertices[:, 1])), 0.6 * float(np.ptp(vertices[:, 0])), 0.7)
    share = rng.uniform(0.3, 0.85) if plain or rng.random() < 0.75 else rng.uniform(0.85, 1.7)
    depth = focal * extent / (share * H)
    free = max(0.0, 1.0 - share)  # a person who fits is mostly inside
    x = rng.uniform(-0.5, 0.5) * W * min(1.0, free + 0.25)
    y = rng.uniform(-0.5, 0.5) * H * (free if share < 0.85 else 0.6)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    shift = np.array([x / focal * depth, y / focal * depth, depth]) - middle
    vertices = vertices + shift
    if vertices[:, 2].min() < _MIN_DEPTH_M:
        return None
    transl = transl + shift
    joints = body.joints(pose[0], pose[1:].reshape(-1), betas, transl)
    K = np.array([[focal, 0, W / 2], [0, focal, H / 2], [0, 0, 1]])
    return _window(Person(pose.reshape(72), betas, transl, vertices, joints, K, (0, 0), _roi(vertices, joints, K, rng)),
                   W, H, rng)  # fmt: skip


def _roi(vertices: Floats, joints: Floats, K: Floats, rng: np.random.Generator) -> Roi:
    """Where a tracker would look: circle about the mid hip around the whole body, trunk upright, slightly off."""
    px, around = project(joints, K), project(vertices[::7], K)
    hip = (px[1] + px[2]) / 2
    radius = np.linalg.norm(around - hip, axis=1).max() * np.exp(rng.normal(-0.02, 0.06))
    up = (px[16] + px[17]) / 2 - hip
    angle = np.arctan2(up[1], up[0]) + np.radians(rng.normal(0, 6))
    center = hip + rng.normal(0, 0.04, 2) * radius
    return roi_from_points(center, center + radius * np.array([np.cos(angle), np.sin(angle)]), BODY_SCALE)


def _window(person: Person, W: float, H: float, rng: np.random.Generator) -> Person | None:
    """Only the part of the picture around the roi is rendered, at a random resolution."""
    roi, half = person.roi, person.roi.size_px * 0.72
    low = np.maximum(roi.center_px - half, 0.0)
    high = np.minimum(roi.center_px + half, [W, H])
    if (high - low).min() < 0.35 * roi.size_px:
        return None
    scale = rng.uniform(110, 300) / roi.size_px
    width, height = (int(v) for v in np.ceil((high - low) * scale))
    K = person.K.copy()
    K[:2] *= scale
    K[:2, 2] -= low * scale
    moved = Roi((roi.center_px - low) * scale, roi.size_px * scale, roi.angle_rad)
    return Person(person.pose, person.betas, person.transl, person.vertices, person.joints, K, (width, height), moved)


def _backdrop(width: int, height: int, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        return background(width, height, int(rng.integers(1 << 31)))
    cells = int(rng.integers(2, 24))
    coarse = rng.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
    mode = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST
    image = np.asarray(cv2.resize(coarse, (width, height), interpolation=mode), np.float64)
    return np.clip(rng.uniform(0, 180, 3) * 0.5 + image * rng.uniform(0.2, 0.8), 0, 255).astype(np.uint8)


def _costume(body: BodyModel, rng: np.random.Generator) -> Floats:
    """Colours [F,3]: clothes by bone, with stripes, checks or blotches woven in."""
    colors = clothes(body, int(rng.integers(1 << 31)))
    centre = body.v_template[body.faces].mean(1)
    kind = rng.random()
    if kind < 0.35:
        waves = rng.normal(0, 25, (3, 2))
        weave = np.sign(np.sin(centre @ waves[:, 0])) * (np.sin(centre @ waves[:, 1]) if kind < 0.15 else 1.0)
        colors = colors * (1 + rng.uniform(0.1, 0.5) * weave[:, None])
    elif kind < 0.7:
        waves = rng.normal(0, 8, (3, 3))
        colors = colors * (1 + 0.35 * np.sin(centre @ waves + rng.uniform(0, 6, 3)))
    return np.clip(colors * rng.uniform(0.5, 1.3), 0, 255)


def _clothed(body: BodyModel, vertices: Floats, rng: np.random.Generator) -> Floats:
    """Vertices pushed outwards on trunk, thighs and upper arms, as loose clothes do."""
    thickness = rng.uniform(0.0, 0.03) if rng.random() < 0.6 else 0.0
    if thickness == 0.0:
        return vertices
    corners = vertices[body.faces]
    normals = np.zeros_like(vertices)
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for corner in body.faces.T:
        for axis in range(3):
            normals[:, axis] += np.bincount(corner, face_normals[:, axis], len(vertices))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    cloth = body.weights[:, [0, 1, 2, 3, 4, 5, 6, 9, 13, 14, 16, 17]].sum(1)
    folds = 1 + 0.5 * np.sin(body.v_template @ rng.normal(0, 20, 3) + rng.uniform(0, 6))
    return np.asarray(vertices + (thickness * cloth * folds)[:, None] * normals)


def _occlude(image: Image, person: Person, rng: np.random.Generator) -> None:
    """One or two things before the person, in place."""
    for _ in range(int(rng.integers(1, 3))):
        center = person.roi.center_px + rng.uniform(-0.4, 0.4, 2) * person.roi.size_px
        half = rng.uniform(0.04, 0.22, 2) * person.roi.size_px
        color = rng.uniform(0, 255, 3).tolist()
        axes = (int(half[0]) + 1, int(half[1]) + 1)
        if rng.random() < 0.5:
            cv2.ellipse(image, (int(center[0]), int(center[1])), axes, rng.uniform(0, 180), 0, 360, color, -1)
        else:
            low, high = center - half, center + half
            cv2.rectangle(image, (int(low[0]), int(low[1])), (int(high[0]), int(high[1])), color, -1)


def _degrade(image: Image, rng: np.random.Generator) -> Image:
    """Blur, noise, exposure and compression of a real camera."""
    if rng.random() < 0.4:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8)))
    out = (image.astype(np.float64) - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-40, 40)
    out += rng.normal(0, rng.uniform(0, 10), image.shape)
    image = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image
