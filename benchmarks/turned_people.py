"""People whom detectors that look for faces miss, and cameras that are rolled: who is found, and how well.

`python benchmarks/turned_people.py [--sides 4] [--sheet FILE.png]`: rendered people, each image as a photo with the
defaults (`HumanMeshRecovery`): standing, sitting on the floor and lying (on the back, on the belly), seen from so many
sides, and standing with a covered face; each upright and by a camera rolled by 90, 180 and 270 degrees. A row a kind:
how often the person is found upright and turned, rows of nobody, PA-MPJPE of the limbs upright and turned, and by how
much turning makes it worse where both are found (mean, and the worst of the images).
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from hmr_ros import HumanMeshRecovery
from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.geometry.turn import Turn
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in
from hmr_ros.synth.scene import background, clothes, look_at
from hmr_ros.types import Camera, Floats, Image
from hmr_ros.view.raster import draw_mesh

SIDE_PX = 640
NEAR_PX = 0.25 * SIDE_PX  # from the true hips to those of somebody who is them


@dataclass(frozen=True)
class Scene:
    """A rendered image of one person."""

    kind: str
    image: Image
    joints: Floats  # [24,3] m, camera frame
    joints_2d: Floats  # [24,2] px


def main() -> None:
    """Render, recover, print a row a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, default=4)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    recover = HumanMeshRecovery(threads=1)
    rows: dict[str, list[tuple[list[float], int]]] = defaultdict(list)
    panels = []
    for scene in scenes(load_body(), args.sides):
        errors, false = [], 0
        for turns in range(4):
            shown = np.ascontiguousarray(np.rot90(scene.image, turns))
            people = recover(shown)
            turn = Turn(-90 * turns % 360)
            hips = turn.pixels(scene.joints_2d[0], SIDE_PX, SIDE_PX)
            mine = [h for h in people if np.linalg.norm(h.joints_2d[0] - hips) < NEAR_PX]
            false += len(people) - min(len(mine), 1)
            errors.append(error_mm(mine[0].joints, scene.joints, turn) if mine else np.nan)
            panels.append(panel(shown, [h.joints_2d for h in people], f"{scene.kind} {90 * turns} {errors[-1]:.0f}"))
        rows[scene.kind].append((errors, false))
    print(
        "kind            images  found upright, turned  false   PA-MPJPE upright, turned mm   worse by: mean, worst mm"
    )
    for kind, found in rows.items():
        print(row(kind, np.array([e for e, _ in found]), sum(f for _, f in found)))
    if args.sheet:
        columns = 8
        panels += [np.zeros_like(panels[0])] * (-len(panels) % columns)
        cv2.imwrite(
            str(args.sheet),
            np.vstack([np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)]),
        )


def row(kind: str, errors: Floats, false: int) -> str:
    """Of one kind: errors [N,4] mm in the four turns, NaN where nobody was found."""
    worse = errors[:, 1:] - errors[:, :1]
    known = worse[np.isfinite(worse)]
    there, images = np.isfinite(errors), len(errors)
    return (
        f"{kind:<15} {images:6d}  {there[:, 0].sum():5d}, {there[:, 1:].sum():3d} of {3 * images:3d} {false:9d}"
        f"   {np.nanmean(errors[:, 0]):10.1f}, {np.nanmean(errors[:, 1:]):6.1f}"
        f" {np.mean(known) if len(known) else np.nan:20.1f}, {np.max(known, initial=-np.inf):6.1f}"
    )


def scenes(body: BodyModel, sides: int) -> Iterator[Scene]:
    """Everybody from every side."""
    camera = replace(guess_camera(SIDE_PX, SIDE_PX), guessed=False)
    standing = demo_motion(15.0).poses[10]
    kinds = {
        "standing": standing, "face covered": standing, "on the floor": floor_pose(),
        "on the back": lying(standing, -1), "on the belly": lying(standing, 1),
    }  # fmt: skip
    for kind, pose in kinds.items():
        for k in range(sides):
            yield scene(body, camera, kind, pose, 2 * np.pi * k / sides + 0.3, k)


def scene(body: BodyModel, camera: Camera, kind: str, pose: Floats, yaw: float, seed: int) -> Scene:
    """One image, the person turned about the vertical by `yaw` rad."""
    pose = pose.copy()
    turn = matrix_from_axis_angle(np.array([0.0, yaw, 0.0]))
    pose[:3] = axis_angle_from_matrix(turn @ matrix_from_axis_angle(pose[:3]))
    low = kind not in ("standing", "face covered")
    eye = np.array([0.0, 1.9 if low else 1.3, 3.4])
    view = look_at(camera, eye, np.array([0.0, 0.3 if low else 0.95, 0.0]))
    posed = body.vertices(pose[:3], pose[3:], np.zeros(10), np.zeros(3))
    height = -float(posed[:, 1].min())
    middle = body.joints(pose[:3], pose[3:], np.zeros(10), np.zeros(3)).mean(0)
    truth = placed_in(view, body, pose, np.array([-middle[0], height, -middle[2]]), np.zeros(10))
    colours = clothes(body, seed)
    if kind == "face covered":
        head = (body.weights[body.faces].mean(1)[:, SMPL["head"]] > 0.5)[:, None]
        colours = np.where(head, np.array([40.0, 30.0, 30.0]), colours)
    image = background(camera.width, camera.height, seed)
    image = draw_mesh(image, truth.vertices, body.faces, camera.K, colours, light=np.array([-0.5, -0.6, -0.7]))
    return Scene(kind, image, truth.joints, truth.joints_2d)


def floor_pose() -> Floats:
    """[72] rad: legs stretched forward on the floor, hands beside the hips."""
    pose = np.zeros((24, 3))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose[SMPL[f"{side}_hip"]] = [-1.45, 0.0, 0.15 * sign]
        pose[SMPL[f"{side}_knee"]] = [0.25, 0.0, 0.0]
        pose[SMPL[f"{side}_shoulder"]] = [0.0, 0.0, -1.1 * sign]
    return pose.reshape(-1)


def lying(pose: Floats, side: int) -> Floats:
    """The pose [72] on the back (-1) or on the belly (1)."""
    out = pose.copy()
    out[:3] = [side * np.pi / 2, 0.0, 0.0]
    return out


def error_mm(found: Floats, true: Floats, turn: Turn) -> float:
    """PA-MPJPE of the limbs; `found` [24,3] is of the turned image."""
    back = found @ turn.matrix
    return float(procrustes_errors(back[None, SMPL_LIMBS], true[None, SMPL_LIMBS]).mean())


def panel(image: Image, people: list[Floats], title: str, side: int = 240) -> Image:
    """A small image with joints."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    for joints in people:
        for x, y in np.nan_to_num(joints) * side / SIDE_PX:
            cv2.circle(small, (round(float(x)), round(float(y))), 2, (0, 0, 255), -1)
    cv2.putText(small, title, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.asarray(small)


if __name__ == "__main__":
    main()
