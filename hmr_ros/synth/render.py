"""Rendered people with known truth: frames of an SMPL motion and what is true in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import ConfigError
from hmr_ros.geometry.camera import fit_camera, guess_camera, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.results import Motion, load_motion, made_folder, save_arrays
from hmr_ros.io.video import VideoWriter
from hmr_ros.synth.depth import DepthFolder, floor_height, true_depth
from hmr_ros.synth.scene import View, background, clothes, view_of_motion
from hmr_ros.types import Camera, Floats, Image
from hmr_ros.view.raster import draw_mesh

_LIGHT = np.array([-0.5, -0.6, -0.7])  # from the upper left behind the camera


@dataclass(frozen=True)
class Truth:
    """What is true of the person in one frame; names and frames as in humans.npz."""

    global_orient: Floats  # [3] rad, body -> camera
    body_pose: Floats  # [69] rad
    betas: Floats  # [10]
    transl: Floats  # [3] m
    joints: Floats  # [24,3] m, camera frame
    joints_2d: Floats  # [24,2] px
    vertices: Floats  # [V,3] m, camera frame


def render_motion(motion: Motion, body: BodyModel, view: View, seed: int = 0) -> Iterator[tuple[Image, Truth]]:
    """Images [H,W,3] of `motion` with their truth, in order."""
    camera = view.camera
    room = background(camera.width, camera.height, seed)
    colors = clothes(body, seed)
    for pose, trans in zip(motion.poses, motion.trans, strict=True):
        truth = truth_of(pose, trans, motion.betas, body, view)
        yield draw_mesh(room.copy(), truth.vertices, body.faces, camera.K, colors, light=_LIGHT), truth


def truth_of(pose: Floats, trans: Floats, betas: Floats, body: BodyModel, view: View) -> Truth:
    """One frame of motion (pose [72], trans [3] in the y-up world) as seen by the camera."""
    R, pelvis = view.R_camera_world, body.rest_joints(betas)[0]
    global_orient = axis_angle_from_matrix(R @ matrix_from_axis_angle(pose[:3]))
    # SMPL turns about the rest pelvis, so the camera's turn moves the translation too
    transl = R @ (pelvis + trans) + view.t_camera_world - pelvis
    joints = body.joints(global_orient, pose[3:], betas, transl)
    vertices = body.vertices(global_orient, pose[3:], betas, transl)
    return Truth(global_orient, pose[3:], betas, transl, joints, project(joints, view.camera.K), vertices)


def truth_arrays(truths: list[Truth], camera: Camera, fps: float, body_name: str, vertices: bool) -> dict[str, Any]:
    """Arrays of truth.npz for consecutive frames of one person."""
    count = len(truths)
    names = ["global_orient", "body_pose", "betas", "transl", "joints", "joints_2d"] + ["vertices"] * vertices
    arrays: dict[str, Any] = {name: np.array([getattr(t, name) for t in truths]) for name in names}
    if vertices:
        arrays["vertices"] = arrays["vertices"].astype(np.float32)
    arrays |= {
        "frame": np.arange(count), "stamp_ns": np.round(np.arange(count) * 1e9 / fps).astype(np.int64),
        "track_id": np.zeros(count, np.int64), "K": camera.K, "body_model": np.array(body_name),
    }  # fmt: skip
    return arrays


def render_file(
    motion_path: Path, out: Path, truth_path: Path | None, *, camera: str | None, size: str, fps: float | None,
    seed: int, max_frames: int | None, vertices: bool, body: str | None, depth: Path | None = None,
) -> int:  # fmt: skip
    """`hmr render`: a motion file to a video, its truth, and folders of true and noisy depth."""
    if max_frames is not None and max_frames < 1:
        raise ConfigError(f"--max-frames {max_frames} leaves nothing to render; give 1 or more")
    if fps is not None and not 0 < fps < np.inf:
        raise ConfigError(f"--fps {fps} is not a frame rate; give a number above 0")
    if seed < 0:
        raise ConfigError(f"--seed {seed} is negative; give 0 or more")
    motion = load_motion(motion_path)
    fps = motion.fps if fps is None else fps
    motion = replace(motion, poses=motion.poses[:max_frames], trans=motion.trans[:max_frames])
    model = load_body(body)
    width, height = parse_size(size)
    intrinsics = fit_camera(read_camera(camera), width, height) if camera else guess_camera(width, height)
    view = view_of_motion(motion.trans, replace(intrinsics, guessed=False), seed)
    truths: list[Truth] = []
    made_folder(out.parent)
    if truth_path is not None:
        made_folder(truth_path.parent)
    depths = None if depth is None else DepthFolder(depth, view, seed)
    floor_y = 0.0 if depth is None else floor_height(motion, model)
    try:
        with VideoWriter(out, fps) as video:
            for image, truth in tqdm(
                render_motion(motion, model, view, seed), total=len(motion.poses), unit="frame", desc="render"
            ):
                video.write(image)
                if depths is not None:
                    depths.write(true_depth(truth.vertices, model, view, floor_y))
                truths.append(truth if vertices else replace(truth, vertices=np.zeros(0)))
    finally:
        if truth_path is not None and truths:
            save_arrays(truth_path, **truth_arrays(truths, view.camera, fps, model.name, vertices))
    K = view.camera.K
    print(f"{len(truths)} frames -> {out}; camera {K[0, 0]:.2f},{K[1, 1]:.2f},{K[0, 2]:.2f},{K[1, 2]:.2f}")
    return 0


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of a text like 640x480; ConfigError."""
    try:
        width, height = (int(part) for part in size.lower().split("x"))
    except ValueError as error:
        raise ConfigError(f"--size '{size}' is not like 640x480") from error
    if min(width, height) < 16 or max(width, height) > 8192:
        raise ConfigError(f"--size '{size}' is out of range (16 to 8192)")
    return width, height
