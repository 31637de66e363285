"""How well refined people lie on real pictures, and on their fast limbs: reprojection against the landmarks.

`python benchmarks/footage.py VIDEO... [--max-frames N]`; errors in percent of the person's height, at limb joints that
are seen for certain. A limb joint is fast where it moves by more than 3 % of the height from one frame to the next.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from refinement import Replay, live

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.io.video import open_source
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import RefineEngine, ScoreRefinement
from hmr_ros.types import Camera, Human

FAST, CERTAIN, LEAST_FRAMES = 0.03, 0.5, 30


def main() -> None:
    """One line a person and refinement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--max-frames", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body(None)
    network = RefineEngine(choose_engine(HmrConfig(), "refine").engine)
    for video in args.videos:
        people, camera = everybody(video, args.max_frames)
        for track, humans in people.items():
            print(f"{Path(video).name}, person {track}, {len(humans)} frames")
            report("none", humans)
            for name, guidance in (("keypoints", KEYPOINTS), ("temporal", Guidance())):
                stage = ScoreRefinement(Replay(humans), network, body, guidance)
                report(name, live(humans, camera, stage))


def everybody(video: str, max_frames: int | None) -> tuple[dict[int, list[Human]], Camera]:
    """Who is seen for a second or longer."""
    pipeline = build_pipeline(offline(HmrConfig(refine="none"), as_live=True))
    found: dict[int, list[Human]] = {}
    for frame in open_source(video, None):
        if max_frames is not None and frame.index >= max_frames:
            break
        for human in pipeline.step(frame):
            found.setdefault(human.track_id, []).append(human)
        camera = frame.camera
    return {i: humans for i, humans in found.items() if len(humans) >= LEAST_FRAMES}, camera


def report(name: str, humans: list[Human]) -> None:
    """Means of all limb joints and of the fast ones, and what 95 % of all stay below."""
    seen = np.array([h.keypoints_2d[BLAZEPOSE_LIMBS] for h in humans])
    ours = np.array([h.joints_2d[SMPL_LIMBS] for h in humans])
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
