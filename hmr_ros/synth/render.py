"""Rendered people with known truth: frames of an SMPL motion and what is true in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel, forward_kinematics, pose_matrices
from hmr_ros.errors import ConfigError
from hmr_ros.geometry.camera import fit_camera, guess_camera, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.results import Motion, load_motion, made_folder, save_arrays
from hmr_ros.io.video import VideoWriter
from hmr_ros.synth.crowd import arranged, seen_of
from hmr_ros.synth.depth import DepthFolder, floor_height, true_depth
from hmr_ros.synth.light import random_lamps
from hmr_ros.synth.outfit import random_outfit
from hmr_ros.synth.places import place
from hmr_ros.synth.scene import View, background, clothes, faces_of
from hmr_ros.synth.shading import draw_dressed, dressed
from hmr_ros.synth.wardrobe import wardrobe_of
from hmr_ros.types import Bools, Camera, Floats, Image
from hmr_ros.view.raster import draw_mesh
from hmr_ros.world.contact import true_contacts, true_ground
from hmr_ros.world.feet import Soles
from hmr_ros.world.gravity import world_rotation

_LIGHT = np.array([-0.5, -0.6, -0.7])  # from the upper left behind the camera

_ROOM_TO_MOVE_M = 1.0
_FLOOR_PERCENTILE = 10.0  # of the ground's heights under a person is the floor of the scene
_STEEPEST_DEG = 80.0  # pitch of a camera


@dataclass(frozen=True)
class Placed:
    """A person in the camera frame; names as in humans.npz."""

    global_orient: Floats  # [3] rad, body -> camera
    body_pose: Floats  # [69] rad
    betas: Floats  # [10]
    transl: Floats  # [3] m
    joints: Floats  # [24,3] m, camera frame
    joints_2d: Floats  # [24,2] px
    vertices: Floats  # [V,3] m, camera frame


@dataclass(frozen=True)
class Truth(Placed):
    """What is true of a person in one frame."""

    visible: Bools  # [24] in the image and not behind another person
    visible_share: float  # of the whole silhouette that is in the image and not behind another person


def render_motion(motion: Motion, body: BodyModel, view: View, seed: int = 0) -> Iterator[tuple[Image, Truth]]:
    """Images [H,W,3] of one person in `motion` with their truth, in order."""
    for image, truths in render_motions([motion], body, view, seed):
        yield image, truths[0]


def render_motions(
    motions: list[Motion], body: BodyModel, view: View, seed: int = 0, look: str = "painted"
) -> Iterator[tuple[Image, list[Truth]]]:
    """Images [H,W,3] of people in `motions`, all equally long, with the truth of each; the nearer hide the farther.

    `look` is one of `LOOKS`.
    """
    camera = view.camera
    paint: Callable[[list[Placed]], Image] | None = None
    for at in range(len(motions[0].poses)):
        placed = [placed_in(view, body, m.poses[at], m.trans[at], m.betas) for m in motions]
        joints, vertices = [p.joints for p in placed], [p.vertices for p in placed]
        seen = seen_of(joints, vertices, body.faces, camera)
        if paint is None:
            paint = (_dressed_scene if look == "lifelike" else _painted_scene)(placed, body, view, seed)
        yield (
            paint(placed),
            [Truth(**vars(p), visible=v, visible_share=s) for p, (v, s) in zip(placed, seen, strict=True)],
        )


def _painted_scene(people: list[Placed], body: BodyModel, view: View, seed: int) -> Callable[[list[Placed]], Image]:
    """Paints bare surfaces in flat colours before a flat room."""
    camera = view.camera
    room = background(camera.width, camera.height, seed)
    colors = np.concatenate([clothes(body, seed + k) for k in range(len(people))])
    faces = faces_of(body, len(people))
    return lambda placed: draw_mesh(
        room.copy(), np.concatenate([p.vertices for p in placed]), faces, camera.K, colors, light=_LIGHT
    )


def _dressed_scene(people: list[Placed], body: BodyModel, view: View, seed: int) -> Callable[[list[Placed]], Image]:
    """Paints dressed people in a place whose floor is where they stand in the first image."""
    camera, up = view.camera, view.R_camera_world[:, 1]
    rng = np.random.default_rng([seed, 1])
    outfits = [random_outfit(wardrobe_of(body), np.random.default_rng([seed, 2, k])) for k in range(len(people))]
    lamps, darkness = random_lamps(up, rng), rng.uniform(0.3, 0.9)
    vertices = np.concatenate([p.vertices for p in people])
    floor, far = float((vertices @ up).min()), float(vertices[:, 2].max())
    backdrop = place(camera.width, camera.height, camera.K, up, floor, far + _ROOM_TO_MOVE_M, rng)

    def paint(placed: list[Placed]) -> Image:
        worn = [
            dressed(outfit, p.vertices, np.concatenate([p.global_orient, p.body_pose]), p.betas, p.transl)
            for outfit, p in zip(outfits, placed, strict=True)
        ]
        return draw_dressed(backdrop.copy(), worn, camera.K, lamps, darkness)

    return paint


def placed_in(view: View, body: BodyModel, pose: Floats, trans: Floats, betas: Floats) -> Placed:
    """One frame of motion (pose [72], trans [3] in the y-up world) in the camera frame."""
    R, pelvis = view.R_camera_world, body.rest_joints(betas)[0]
    global_orient = axis_angle_from_matrix(R @ matrix_from_axis_angle(pose[:3]))
    # SMPL turns about the rest pelvis, so the camera's turn moves the translation too
    transl = R @ (pelvis + trans) + view.t_camera_world - pelvis
    joints = body.joints(global_orient, pose[3:], betas, transl)
    vertices = body.vertices(global_orient, pose[3:], betas, transl)
    return Placed(global_orient, pose[3:], betas, transl, joints, project(joints, view.camera.K), vertices)


def truth_arrays(
    truths: list[Truth], camera: Camera, fps: float, body_name: str, vertices: bool, people: int = 1
) -> dict[str, Any]:
    """Arrays of truth.npz for consecutive frames of so many people, frame by frame."""
    frame, person = np.divmod(np.arange(len(truths)), people)
    names = ["global_orient", "body_pose", "betas", "transl", "joints", "joints_2d", "visible", "visible_share"]
    names += ["vertices"] * vertices
    arrays: dict[str, Any] = {name: np.array([getattr(t, name) for t in truths]) for name in names}
    if vertices:
        arrays["vertices"] = arrays["vertices"].astype(np.float32)
    arrays |= {
        "frame": frame, "stamp_ns": np.round(frame * 1e9 / fps).astype(np.int64), "track_id": person, "person": person,
        "K": camera.K, "body_model": np.array(body_name),
    }  # fmt: skip
    return arrays


def world_arrays(arrays: dict[str, Any], view: View, body: BodyModel, fps: float) -> dict[str, Any]:
    """What a truth.npz with `arrays` says of the world (z up, the floor of the lowest feet at 0, x the camera's way
    forward): R_world_camera [N,3,3], t_world_camera [N,3] m, root_world [N,3] m and contacts [N,4]."""
    R, rows = world_rotation(view.R_camera_world[:, 1]), len(arrays["frame"])
    soles, points = Soles(body), np.zeros((rows, 4, 3))
    for i in range(rows):
        betas = arrays["betas"][i]
        turned, joints = forward_kinematics(
            pose_matrices(arrays["global_orient"][i], arrays["body_pose"][i]), body.rest_joints(betas)
        )
        points[i] = soles.placed(turned, joints + arrays["transl"][i], betas) @ R.T
    contacts, floors = np.zeros((rows, 4)), []
    for person in np.unique(arrays["person"]):
        at = np.flatnonzero(arrays["person"] == person)
        contacts[at] = true_contacts(points[at], fps)
        floors.append(float(np.percentile(true_ground(points[at], fps), _FLOOR_PERCENTILE)))
    t = np.array([0.0, 0.0, -min(floors)])
    return {
        "R_world_camera": np.tile(R, (rows, 1, 1)), "t_world_camera": np.tile(t, (rows, 1)),
        "root_world": arrays["joints"][:, 0] @ R.T + t, "contacts": contacts,
    }  # fmt: skip


def render_file(
    motion_paths: list[Path], out: Path, truth_path: Path | None, *, camera: str | None, size: str, fps: float | None,
    seed: int, max_frames: int | None, vertices: bool, body: str | None, depth: Path | None = None, place: str = "own",
    tilt: tuple[float, float] | None = None, look: str = "painted",
) -> int:  # fmt: skip
    """`hmr render`: motion files to a video, its truth, and folders of true and noisy depth; `tilt` is the camera's
    pitch and roll in degrees, None: from a random height about the chest's, towards the middle of the motion."""
    if max_frames is not None and max_frames < 1:
        raise ConfigError(f"--max-frames {max_frames} leaves nothing to render; give 1 or more")
    if fps is not None and not 0 < fps < np.inf:
        raise ConfigError(f"--fps {fps} is not a frame rate; give a number above 0")
    if tilt is not None and not (abs(tilt[0]) <= _STEEPEST_DEG and abs(tilt[1]) <= 180):
        raise ConfigError(f"--pitch {tilt[0]:g} --roll {tilt[1]:g}: give a pitch of -80 to 80, a roll of -180 to 180")
    if seed < 0:
        raise ConfigError(f"--seed {seed} is negative; give 0 or more")
    model = load_body(body)
    width, height = parse_size(size)
    intrinsics = fit_camera(read_camera(camera), width, height) if camera else guess_camera(width, height)
    motions = [load_motion(path) for path in motion_paths]
    motions = [replace(m, poses=m.poses[:max_frames], trans=m.trans[:max_frames], fps=fps or m.fps) for m in motions]
    motions, view = arranged(motions, model, place, replace(intrinsics, guessed=False), seed, tilt)
    made_folder(out.parent)
    if truth_path is not None:
        made_folder(truth_path.parent)
    depths = None if depth is None else DepthFolder(depth, view, seed)
    floor_y = 0.0 if depth is None else min(floor_height(m, model) for m in motions)
    truths: list[Truth] = []
    rate = motions[0].fps
    try:
        with VideoWriter(out, rate) as video:
            for image, people in tqdm(
                render_motions(motions, model, view, seed, look),
                total=len(motions[0].poses),
                unit="frame",
                desc="render",
            ):
                video.write(image)
                if depths is not None:
                    depths.write(true_depth([p.vertices for p in people], model, view, floor_y))
                truths += people if vertices else [replace(p, vertices=np.zeros(0)) for p in people]
    finally:
        if truth_path is not None and truths:
            arrays = truth_arrays(truths, view.camera, rate, model.name, vertices, len(motions))
            save_arrays(truth_path, **arrays, **world_arrays(arrays, view, model, rate))
    K = view.camera.K
    print(
        f"{len(truths) // len(motions)} frames -> {out}; camera {K[0, 0]:.2f},{K[1, 1]:.2f},{K[0, 2]:.2f},{K[1, 2]:.2f}"
    )
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
