"""Depth images of rendered people: the truth, and what a depth camera would measure of it.

Only people and the floor have a shape; the walls of the room are painted, so their depth is unknown.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import unproject
from hmr_ros.io.results import Motion
from hmr_ros.synth.scene import View, faces_of
from hmr_ros.types import Floats
from hmr_ros.view.raster import mesh_depth

RANGE_M = (0.3, 10.0)  # what the depth camera sees
_EDGE_M = 0.1  # neighbours that differ by more lie on different surfaces
_EDGE_HOLES = 0.75  # share of pixels at an edge without an answer
_GRAZING_DEG = (70.0, 87.0)  # from where holes begin, and where all is hole; 0 = seen from straight ahead
_BLUR_PX = 1.0  # neighbours are matched with overlapping windows, so their errors are alike


def floor_height(motion: Motion, body: BodyModel) -> float:
    """y [m] in the world of the lowest point that the body reaches in a motion."""
    betas = np.tile(motion.betas, (len(motion.poses), 1))
    joints = body.joints(motion.poses[:, :3], motion.poses[:, 3:], betas, motion.trans)
    lowest = int(joints[..., 1].min(1).argmin())
    pose = motion.poses[lowest]
    return float(body.vertices(pose[:3], pose[3:], motion.betas, motion.trans[lowest])[:, 1].min())


def true_depth(people: list[Floats], body: BodyModel, view: View, floor_y: float) -> Floats:
    """Depth [H,W] m of bodies (vertices [V,3] m each, camera frame) on the floor y = `floor_y` m of the world; else
    NaN."""
    camera = view.camera
    faces = faces_of(body, len(people))
    person = mesh_depth(np.concatenate(people), faces, camera.K, camera.width, camera.height)
    pixels = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1)
    slope = (unproject(pixels, camera.K) @ view.R_camera_world)[..., 1]  # y in the world for a metre along the axis
    height = -(view.R_camera_world.T @ view.t_camera_world)[1]  # of the camera
    with np.errstate(divide="ignore"):
        floor = (floor_y - height) / slope
    floor[~((floor > 0) & (floor < np.inf))] = np.nan
    return np.asarray(np.where(np.isnan(person), floor, person))


def measured_depth(depth: Floats, K: Floats, rng: np.random.Generator) -> Floats:
    """What a structured-light or stereo camera measures of a true depth [H,W] m, NaN = nothing.

    The standard deviation is that of `depth_sigma`, with errors that are alike among neighbours; there are holes where
    the surface is seen at a grazing angle, at edges, and beyond the range. Returns [H,W] m.
    """
    kernel = cv2.getGaussianKernel(int(6 * _BLUR_PX) | 1, _BLUR_PX)
    noise = cv2.sepFilter2D(rng.standard_normal(depth.shape), -1, kernel, kernel) / float((kernel**2).sum())
    measured = depth + depth_sigma(depth) * noise
    measured[rng.random(depth.shape) < _hole_share(depth, K)] = np.nan
    measured[~((depth >= RANGE_M[0]) & (depth <= RANGE_M[1]))] = np.nan
    return np.asarray(measured)


def depth_sigma(depth: Floats) -> Floats:
    """Standard deviation [m] of a measurement at `depth` [m]: Nguyen et al. 2012, axial noise of a Kinect."""
    return np.asarray(1.2e-3 + 1.9e-3 * (depth - 0.4) ** 2)


def _hole_share(depth: Floats, K: Floats) -> Floats:
    """Probability [H,W] that nothing is measured at a pixel."""
    low, high = _GRAZING_DEG
    share = np.clip((_incidence_deg(depth, K) - low) / (high - low), 0, 1)
    far = np.where(np.isnan(depth), 1e3, depth)
    window = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(far, window) - cv2.erode(far, window) > _EDGE_M
    return np.asarray(np.maximum(np.nan_to_num(share), _EDGE_HOLES * edge))


def _incidence_deg(depth: Floats, K: Floats) -> Floats:
    """Angle [H,W] between the ray and the normal of the surface, 0 to 90; NaN beside unknown pixels."""
    height, width = depth.shape
    rays = unproject(np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1), K)
    points = rays * depth[..., None]
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    lengths = np.linalg.norm(normals, axis=-1) * np.linalg.norm(rays, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.degrees(np.arccos(np.clip(np.abs((normals * rays).sum(-1)) / lengths, 0, 1)))


class DepthFolder:
    """Folder with 16 bit PNG millimetres (0 = unknown): true/ and noisy/, one file of each a frame."""

    def __init__(self, folder: Path, view: View, seed: int) -> None:
        """Make the folders; InputError where that fails or they hold images already."""
        self._folders = {name: folder / name for name in ("true", "noisy")}
        self._view, self._seed, self._count = view, seed, 0
        for path in self._folders.values():
            try:
                path.mkdir(parents=True, exist_ok=True)
                taken = any(path.iterdir())
            except OSError as error:
                raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
            if taken:
                raise InputError(f"{path} is not empty; remove it or choose another folder for --depth")

    def write(self, depth: Floats) -> None:
        """The next frame's true depth [H,W] m, and the camera's measurement of it."""
        rng = np.random.default_rng([self._seed, self._count])
        measured = measured_depth(depth, self._view.camera.K, rng)
        for name, metres in (("true", depth), ("noisy", measured)):
            path = self._folders[name] / f"{self._count:06d}.png"
            if not cv2.imwrite(str(path), millimetres(metres)):
                raise InputError(f"cannot write {path}; is the disk full?")
        self._count += 1


def millimetres(depth: Floats) -> Floats:
    """Depth [H,W] m, NaN = unknown -> uint16 millimetres, 0 = unknown or too far for 16 bit."""
    mm = np.round(1000 * np.nan_to_num(depth, nan=0.0, posinf=0.0))
    return np.where((mm > 0) & (mm <= np.iinfo(np.uint16).max), mm, 0).astype(np.uint16)
