"""How far pelvis position and velocity are off, and whether their covariances say so.

`python benchmarks/pelvis.py CLIP.mp4 ...`: beside each clip its truth (CLIP.npz), as `benchmarks/clips.py` and
`hmr render` write them; as live, with the clip's intrinsics. `normalised` is the root mean square of the error over its
standard deviation: 1 where the covariance is right, above where it is too small. The rendered people have the mean
shape, so their distance is surer than a stranger's.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import open_source
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.types import Camera, Floats

HIPS = [1, 2]
SETTLED = 15  # frames


def main() -> None:
    """One row a camera."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    args = parser.parse_args()
    rows = np.concatenate([errors(clip) for clip in args.clips])
    print(f"{len(rows)} frames{'':<11} {'median':>8} {'normalised':>10}")
    for name, unit, factor, columns in (
        ("distance", "%", 100, (0, 1)),
        ("speed across", "m/s", 1, (2, 3)),
        ("speed along z", "m/s", 1, (4, 5)),
    ):
        error, sigma = np.abs(rows[:, columns]).T
        print(f"{f'{name}, {unit}':<20} {factor * np.median(error):>8.2f} {rms(error / sigma):>10.2f}")


def rms(values: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def errors(clip: Path) -> Floats:
    """Rows of error and sigma: of the distance as a share of it, of the speed along x m/s, of that along z."""
    truth = load_humans(clip.with_suffix(".npz"))
    hips = truth.joints[:, HIPS].mean(1)
    velocity = np.gradient(hips, truth.stamp_ns * 1e-9, axis=0)
    rows = []
    pipeline, memory = build_pipeline(offline(HmrConfig(threads=1), as_live=True)), PelvisMemory()
    source = open_source(str(clip), None)
    camera = Camera(truth.K, source.width, source.height)
    for i, result in enumerate(pipeline.results(replace(f, camera=camera) for f in source)):
        people = memory(result.frame.stamp_ns, result.humans, camera)
        if len(result.humans) != 1 or not SETTLED <= i < len(hips):
            continue
        state = people[0].pelvis
        assert state is not None
        distance = np.linalg.norm(state.position)
        ray = state.position / distance
        share = (distance - np.linalg.norm(hips[i])) / distance
        row = [share, np.sqrt(ray @ state.pose_covariance[:3, :3] @ ray) / distance]
        for axis in (0, 2):
            row += [state.velocity[axis] - velocity[i, axis], np.sqrt(state.velocity_covariance[axis, axis])]
        rows.append(row)
    return np.array(rows)


if __name__ == "__main__":
    main()
