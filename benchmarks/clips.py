"""Make the rendered clips that the other benchmarks are run on, each with its truth beside it.

`python benchmarks/clips.py VAL.npz OUT [--speed 2]`: the first four unbroken seconds of the first three recordings of
VAL.npz, seen from random sides; with `--speed 2` every second frame of the motion is left out, so that people move
twice as fast.
"""

import argparse
from pathlib import Path

import numpy as np

from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.synth import LOOKS
from hmr_ros.synth.render import render_file
from hmr_ros.types import Ints

FRAMES = 120


def main() -> None:
    """One video and one truth a recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("motion", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--speed", type=int, default=1)
    parser.add_argument("--recordings", type=int, nargs="+", default=[0, 1, 2], help="values of clip_id")
    parser.add_argument("--seed", type=int, default=0, help="of the first clip's camera and clothes")
    parser.add_argument("--look", choices=LOOKS, default="painted")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    arrays = load_arrays(args.motion)
    for seed, recording in enumerate(args.recordings, args.seed):
        rows = stretch(np.flatnonzero(arrays["clip_id"] == recording), arrays["bad_frame"], FRAMES * args.speed)
        rows = rows[:: args.speed]
        motion = args.out / f"motion_{recording}.npz"
        save_arrays(motion, poses=arrays["poses"][rows], trans=arrays["trans"][rows], fps=np.array(30.0))
        clip = args.out / f"clip_{recording}.mp4"
        render_file(
            [motion], clip, clip.with_suffix(".npz"), camera=None, size="640x480", fps=None, seed=seed, max_frames=None,
            vertices=False, body=None, look=args.look,
        )  # fmt: skip


def stretch(rows: Ints, bad: Ints, length: int) -> Ints:
    """The first `length` of a recording's `rows` without a bad frame among them; all if there is no such piece."""
    for start in range(max(1, len(rows) - length + 1)):
        piece = rows[start : start + length]
        if not bad[piece].any():
            return piece
    return rows[:length]


if __name__ == "__main__":
    main()
