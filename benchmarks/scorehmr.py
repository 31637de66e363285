"""What of ScoreHMR does what: its published settings against ours, and each setting varied, on clips with truth.

`python benchmarks/scorehmr.py CLIP... [--rows ROWS]`; clips as in `refinement.py`, columns too; landmarks as live.
Rows: `recoveries` (its Table 2: each frame alone on every recovery, published key point setting), `published` (noise
level, steps, loops of that setting), `ours` (the same of `--quality`, and the first-order temporal term).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from published import FRAME, Published, each_frame
from refinement import Method, live, measured, refine_network, seen_people

from hmr_ros.body.loading import load_body
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import TorchPrior, load_prior
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, OFFLINE, Guidance, MotionSpread
from hmr_ros.methods.scorehmr.streaming import ScoreRefinement

ROWS = ("recoveries", "published", "ours")


def main() -> None:
    """One line a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    body, prior = load_body(None), load_prior()
    if "recoveries" in args.rows:
        for recover in RECOVERIES:
            clips = [seen_people(clip, recover) for clip in args.clips]
            for name, method in recoveries(prior).items():
                measured(f"{recover}, {name}", method, clips, body)
    clips = [seen_people(clip) for clip in args.clips]
    for rows, methods in (("published", published(prior)), ("ours", ours(prior))):
        for name, method in methods.items() if rows in args.rows else ():
            measured(name, method, clips, body)


def recoveries(prior: TorchPrior) -> dict[str, Method]:
    """Without refinement, with the published ones and with ours."""
    network = refine_network()
    return {
        "none": lambda people, _: [p.estimate for p in people],
        "published, frame": lambda people, body: each_frame(people, prior, body, FRAME),
        "published, track": Published(prior),
        "keypoints": lambda people, body: live(people, ScoreRefinement(network, body, KEYPOINTS)),
        "temporal": lambda people, body: live(people, ScoreRefinement(network, body, Guidance())),
        "--quality": lambda people, body: refine_tracks(people, prior, body),
    }


def published(prior: TorchPrior) -> dict[str, Method]:
    """Each frame alone with one setting changed."""
    changes = {
        "tau 50, steps of 2, 10 loops": FRAME,
        "tau 20": replace(FRAME, tau=20),
        "tau 100": replace(FRAME, tau=100),
        "tau 200": replace(FRAME, tau=200),
        "steps of 10": replace(FRAME, step=10),
        "steps of 50": replace(FRAME, step=50),
        "1 loop": replace(FRAME, loops=1),
        "5 loops": replace(FRAME, loops=5),
        "20 loops": replace(FRAME, loops=20),
    }
    return {
        f"published, {name}": lambda people, body, s=settings: each_frame(people, prior, body, s)
        for name, settings in changes.items()
    }


def ours(prior: TorchPrior) -> dict[str, Method]:
    """Whole tracks with one setting changed."""
    changes = {
        "as it is": OFFLINE,
        "tau 25": replace(OFFLINE, tau=25),
        "tau 100": replace(OFFLINE, tau=100),
        "tau 200": replace(OFFLINE, tau=200),
        "1 step": replace(OFFLINE, steps=1),
        "2 steps": replace(OFFLINE, steps=2),
        "25 steps": replace(OFFLINE, steps=25),
        "1 loop": replace(OFFLINE, loops=1),
        "4 loops": replace(OFFLINE, loops=4),
    }
    for change in (0.2, 0.1, 0.05):  # the first-order term: by how much a number changes, its speed free or not
        changes[f"first order {change}"] = replace(OFFLINE, motion=MotionSpread(change, OFFLINE.motion.speed))
    changes["first order 0.1 alone"] = replace(OFFLINE, motion=MotionSpread(0.1, float("inf")))
    return {
        f"--quality, {name}": lambda people, body, g=guidance: refine_tracks(people, prior, body, g)
        for name, guidance in changes.items()
    }


if __name__ == "__main__":
    main()
