"""Camera, background, clothes and light around a rendered person; everything follows from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import BodyModel
from hmr_ros.types import Camera, Floats, Image, Ints
from hmr_ros.world.gravity import rotation_of_tilt

_SKIN_TONES = ((150, 185, 225), (120, 160, 205), (80, 115, 165), (55, 80, 120))  # BGR
_SHOE, _HAIR = (45, 45, 50), (30, 40, 55)
_LOWEST_M = 0.3  # of a camera above the floor
_CLOTH = {
    "shirt": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    "trousers": ("left_hip", "right_hip", "left_knee", "right_knee"),
    "shoes": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
}


@dataclass(frozen=True)
class View:
    """A camera with its place in a y-up world: x_camera = R x_world + t."""

    camera: Camera
    R_camera_world: Floats  # [3,3]
    t_camera_world: Floats  # [3] m


def look_at(camera: Camera, eye: Floats, target: Floats) -> View:
    """View from `eye` [3] towards `target` [3] m in the y-up world, horizon level."""
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, np.array([0.0, 1.0, 0.0]))
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return View(camera, R, -R @ eye)


def tilted_view(camera: Camera, eye: Floats, azimuth: float, pitch_deg: float, roll_deg: float) -> View:
    """View from `eye` [3] m in the y-up world, looking away from the side `azimuth` [rad, from +z towards +x]; pitch
    and roll as in `world.gravity.rotation_of_tilt`."""
    forward = -np.array([np.sin(azimuth), 0.0, np.cos(azimuth)])
    left = np.cross([0.0, 1.0, 0.0], forward)
    axes = np.stack([forward, left, [0.0, 1.0, 0.0]], 1)  # z-up world of the camera -> y-up world
    R = (axes @ rotation_of_tilt(pitch_deg, roll_deg)).T
    return View(camera, R, -R @ eye)


def view_of_motion(
    trans: Floats, camera: Camera, seed: int, tilt: tuple[float, float] | None = None, floor_y: float = 0.0
) -> View:
    """A camera that sees the whole of a motion [F,3] m, from a random side at about chest height, or `tilt`ed by pitch
    and roll in degrees and then as high above `floor_y` as it must be for that."""
    rng = np.random.default_rng(seed)
    centre = (trans.min(0) + trans.max(0)) / 2
    radius = float(np.linalg.norm(trans - centre, axis=1).max()) + 1.15  # the body around its pelvis
    half = np.arctan2(0.5 * min(camera.width / camera.K[0, 0], camera.height / camera.K[1, 1]), 1.0)
    distance = radius / np.sin(half)
    azimuth, rise = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, 0.6)
    if tilt is not None:
        pitch = np.radians(tilt[0])
        away = distance * np.array([np.sin(azimuth) * np.cos(pitch), -np.sin(pitch), np.cos(azimuth) * np.cos(pitch)])
        eye = centre + away
        eye[1] = max(eye[1], floor_y + _LOWEST_M)
        return tilted_view(camera, eye, azimuth, *tilt)
    offset = np.array([np.sin(azimuth) * distance, rise, np.cos(azimuth) * distance])
    return look_at(camera, centre + offset, centre)


def background(width: int, height: int, seed: int) -> Image:
    """A room: wall with posters, floor with boards, soft noise [H,W,3]."""
    rng = np.random.default_rng(seed)
    horizon = int(height * rng.uniform(0.55, 0.7))
    wall, floor = rng.uniform(120, 210, 3), rng.uniform(70, 140, 3)
    shade = np.linspace(1.0, 0.75, height)[:, None, None]
    image = np.where((np.arange(height) < horizon)[:, None, None], wall, floor) * shade
    image = np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))).astype(np.uint8)
    for foot in range(-width, 2 * width, max(12, width // 16)):
        board = (width // 2 + (foot - width // 2) // 3, horizon)
        cv2.line(image, board, (foot, height), (floor * 0.6).tolist(), 1)
    for _ in range(6):
        x, y = rng.integers(0, width), rng.integers(0, max(1, horizon - height // 8))
        w, h = rng.integers(width // 16, width // 5), rng.integers(height // 12, height // 4)
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), rng.uniform(60, 220, 3).tolist(), -1)
    noise = rng.normal(0, 6, (height // 2 + 1, width // 2 + 1, 3))
    grain = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def clothes(body: BodyModel, seed: int) -> Floats:
    """BGR colour [F,3] of every face: shirt, trousers, shoes, hair and skin by the bone that carries it."""
    rng = np.random.default_rng(seed)
    skin = np.array(_SKIN_TONES[rng.integers(len(_SKIN_TONES))], np.float64)
    colors = np.tile(skin, (len(body.v_template), 1))
    carrier = body.weights.argmax(1)
    dyes = {"shirt": rng.uniform(40, 230, 3), "trousers": rng.uniform(30, 150, 3), "shoes": np.array(_SHOE)}
    for part, joints in _CLOTH.items():
        colors[np.isin(carrier, [SMPL[j] for j in joints])] = dyes[part]
    _paint_head(colors, body, carrier == SMPL["head"])
    i, j, k = body.faces.T
    return np.asarray((colors[i] + colors[j] + colors[k]) / 3)


def faces_of(body: BodyModel, people: int) -> Ints:
    """Faces of so many bodies whose vertices stand one after the other."""
    return np.concatenate([body.faces + k * len(body.v_template) for k in range(people)])


def _paint_head(colors: Floats, body: BodyModel, head: Floats) -> None:
    """Hair on top and at the back, dark eyes and a mouth: what a detector knows a face by."""
    points = body.v_template[head]
    low, high = points.min(0), points.max(0)
    across, up, front = ((body.v_template - low) / (high - low)).T
    colors[head & ((up > 0.82) | ((front < 0.45) & (up > 0.35)))] = _HAIR
    eyes = (np.abs(np.abs(across - 0.5) - 0.19) < 0.08) & (np.abs(up - 0.55) < 0.035)
    mouth = (np.abs(across - 0.5) < 0.14) & (np.abs(up - 0.28) < 0.025)
    colors[head & eyes & (front > 0.7)] = (40, 40, 40)
    colors[head & mouth & (front > 0.7)] = (80, 80, 150)
