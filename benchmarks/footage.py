"""How well refined people lie on real images, and on their fast limbs: reprojection against the landmarks.

`python benchmarks/footage.py VIDEO... [--max-frames N]`; errors in percent of the person's height, at limb joints that
are seen for certain. A limb joint is fast where it moves by more than 3 % of the height from one frame to the next.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from refinement import live, refine_network

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Estimate, Observation, humans_of
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import ScoreRefinement

FAST, CERTAIN, LEAST_FRAMES = 0.03, 0.5, 30


def main() -> None:
    """One line a person and refinement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--max-frames", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body(None)
    network = refine_network()
    for video in args.videos:
        for track, people in everybody(video, args.max_frames).items():
            print(f"{Path(video).name}, person {track}, {len(people)} frames")
            report("none", people, [p.estimate for p in people])
            for name, guidance in (("keypoints", KEYPOINTS), ("temporal", Guidance())):
                report(name, people, live(people, ScoreRefinement(network, body, guidance)))


def everybody(video: str, max_frames: int | None) -> dict[int, list[Observation]]:
    """Who is seen for a second or longer."""
    pipeline = build_pipeline(offline(HmrConfig(refine="none"), as_live=True))
    found: dict[int, list[Observation]] = {}
    for frame in islice(open_source(video, None), max_frames):
        for person in pipeline.observe(frame):
            found.setdefault(person.track.track_id, []).append(person)
    return {i: people for i, people in found.items() if len(people) >= LEAST_FRAMES}


def report(name: str, people: list[Observation], estimates: list[Estimate]) -> None:
    """Means of all limb joints and of the fast ones, and what 95 % of all stay below."""
    seen = np.array([p.track.keypoints.keypoints_2d[BLAZEPOSE_LIMBS] for p in people])
    rows = zip(people, estimates, strict=True)
    body = load_body(None)
    ours = np.array([humans_of([p], [e], body)[0].joints_2d[SMPL_LIMBS] for p, e in rows])
    height = np.median(np.ptp(seen[..., 1], axis=1))
    error = 100 * np.linalg.norm(ours - seen[..., :2], axis=-1) / height
    sure = seen[..., 2] > CERTAIN
    speed = np.r_[np.zeros((1, 12)), np.linalg.norm(np.diff(seen[..., :2], axis=0), axis=-1)] / height
    fast = sure & (speed > FAST)
    mean = error[fast].mean() if fast.any() else np.nan
    print(
        f"  {name:<10} limbs {error[sure].mean():5.2f} %   95 % below {np.percentile(error[sure], 95):5.2f} %"
        f"   fast limbs {mean:5.2f} % ({fast.sum()})"
    )


if __name__ == "__main__":
    main()
