"""How far pelvis position and velocity are off, and whether their covariances say so.

`python benchmarks/pelvis.py CLIP.mp4 ...`: beside each clip its truth (CLIP.npz), as `benchmarks/clips.py` and
`hmr render` write them. As live, with the clip's intrinsics and with a guessed focal length. `normalised` is the root
mean square of the error over its standard deviation: 1 where the covariance is right, above where it is too small.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import open_source
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.types import Camera, Floats

HIPS = [1, 2]


def main() -> None:
    """One row a camera."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    args = parser.parse_args()
    print(
        f"{'focal length':<14} {'distance %':>10} {'normalised':>10} {'speed m/s':>10} {'normalised':>10} {'frames':>7}"
    )
    for name, guessed in (("calibrated", False), ("guessed", True)):
        rows = np.concatenate([errors(clip, guessed) for clip in args.clips])
        share, sigma, speed, speed_sigma = np.abs(rows).T
        print(
            f"{name:<14} {100 * np.median(share):>10.1f} {rms(share / sigma):>10.2f} {np.median(speed):>10.3f}"
            f" {rms(speed / speed_sigma):>10.2f} {len(rows):>7}"
        )


def rms(values: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def errors(clip: Path, guessed: bool) -> Floats:
    """Of each frame: error of the distance as a share of it, its sigma; error of the speed along z m/s, its sigma."""
    truth = load_humans(clip.with_suffix(".npz"))
    hips = truth.joints[:, HIPS].mean(1)
    seconds = truth.stamp_ns * 1e-9
    velocity = np.gradient(hips, seconds, axis=0)
    rows = []
    pipeline, memory = build_pipeline(offline(HmrConfig(threads=1), as_live=True)), PelvisMemory()
    source = open_source(str(clip), None)
    camera = guess_camera(source.width, source.height)
    if not guessed:
        camera = Camera(truth.K, source.width, source.height)
    for i, result in enumerate(pipeline.results(replace(f, camera=camera) for f in source)):
        people = memory(result.frame.stamp_ns, result.humans, camera)
        if len(result.humans) != 1 or i < 15 or i >= len(hips):
            continue
        state = people[0].pelvis
        assert state is not None
        distance = np.linalg.norm(state.position)
        ray = state.position / distance
        share = (distance - np.linalg.norm(hips[i])) / distance
        sigma = np.sqrt(ray @ state.pose_covariance[:3, :3] @ ray) / distance
        rows.append([share, sigma, state.velocity[2] - velocity[i, 2], np.sqrt(state.velocity_covariance[2, 2])])
    return np.array(rows)


if __name__ == "__main__":
    main()
