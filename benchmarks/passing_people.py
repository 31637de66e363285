"""Rendered people who come into view, do something, and leave: a clip that loops, with stretches without anybody.

`python benchmarks/passing_people.py --out FILE.npy --size 640x480 --seconds 20`; soak and overload make it themselves.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in
from hmr_ros.synth.scene import background, clothes, look_at
from hmr_ros.view.raster import draw_mesh

FPS = 30.0
_EYE, _TARGET = np.array([0.0, 1.15, 4.2]), np.array([0.0, 0.95, 0.0])
_LIGHT = np.array([-0.5, -0.6, -0.7])
_OUTSIDE_M = 4.0  # from the middle to where nobody is seen
_PASS_S = 2.0  # from there to a place in view


@dataclass(frozen=True)
class Visit:
    """One person's time in view, as shares of the clip."""

    enters: float
    leaves: float
    x_m: float  # place in view
    z_m: float  # towards the camera
    side: float  # from where they come: -1 left, 1 right


# nobody at the beginning and at the end; one, two, one, nobody, one
VISITS = (Visit(0.08, 0.55, -0.7, 0.0, -1), Visit(0.25, 0.45, 0.8, -0.8, 1), Visit(0.68, 0.9, 0.1, 0.5, 1))


def passing_people(file: Path, width: int, height: int, seconds: float, part: tuple[float, float] = (0.0, 1.0)) -> Path:
    """Render a part of the clip, uint8 [N,H,W,3] BGR at `FPS`, unless the file is there already."""
    begin, end = (round(share * seconds * FPS) for share in part)
    count = end - begin
    if file.is_file() and np.load(file, mmap_mode="r").shape == (count, height, width, 3):
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    body, motion = load_body(), demo_motion(FPS)
    view = look_at(guess_camera(width, height), _EYE, _TARGET)
    room, colors = background(width, height, 0), [clothes(body, seed) for seed in range(len(VISITS))]
    frames = np.lib.format.open_memmap(file, "w+", np.uint8, (count, height, width, 3))
    for i in tqdm(range(begin, end), unit="frame", desc="render passing people"):
        image = room.copy()
        for n, visit in sorted(enumerate(VISITS), key=lambda v: v[1].z_m):  # the farthest first
            away = _away(i / FPS, visit.enters * seconds, visit.leaves * seconds)
            if away >= 1:
                continue
            k = (i + 70 * n) % len(motion.poses)
            at = np.array([visit.x_m + away * visit.side * _OUTSIDE_M, 0.0, visit.z_m])
            truth = placed_in(view, body, motion.poses[k], motion.trans[k] + at, motion.betas)
            image = draw_mesh(image, truth.vertices, body.faces, view.camera.K, colors[n], light=_LIGHT)
        frames[i - begin] = image
    frames.flush()
    return file


def _away(time_s: float, enters_s: float, leaves_s: float) -> float:
    """Way from the place in view to outside, 0 to 1."""
    return float(np.clip(max(enters_s + _PASS_S - time_s, time_s - leaves_s + _PASS_S) / _PASS_S, 0, 1))


def main() -> None:
    """Render to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    passing_people(args.out, width, height, args.seconds)


if __name__ == "__main__":
    main()
