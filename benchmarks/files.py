"""Images a second of `hmr run`, before and now: two checkouts by turns on the same clips, and the same numbers.

`python benchmarks/files.py CLIP... [--before COMMIT] [--turns 3] [--height 720] [--max-frames N] [-- OPTIONS]`
in a checkout, with the Python of its environment. `--before` (default: the last commit whose stages took turns) is
checked out into a temporary folder; `--height` scales the clips first. Each turn runs before, now, and now `--in-turn`;
printed are the rates that summary.json says, their ratio in each turn, how busy each stage was, and whether humans.npz
is the same to the bit: that of both ways of now must be, that of before is where no answer was meant to change (with
`tracker.others_every` above 1, of files without `--fast`, it is not). The load of the machine stands beside each turn:
ratios above one core a process need a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from passed_on import split_options
from same_answers import environment, equal

from hmr_ros.io.video import VideoWriter, open_source

HERE = Path(__file__).resolve().parents[1]
BEFORE = "fde2d80"
WAYS = ("before", "now", "in turn")


def main() -> int:
    """Exit status: 1 where a run failed or the numbers of both ways differ."""
    words, options = split_options(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--before", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--height", type=int)
    parser.add_argument("--max-frames", type=int)
    args = parser.parse_args(words)
    options += [] if args.max_frames is None else ["--max-frames", str(args.max_frames)]
    same = True
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", old, args.before], cwd=HERE, check=True)
        try:
            for clip in args.clips:
                scaled = clip if args.height is None else resized(clip, args.height, Path(folder))
                same &= compared(scaled.resolve(), old, args.turns, options, Path(folder))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", old], cwd=HERE, check=True)
    return 0 if same else 1


def resized(clip: Path, height: int, folder: Path) -> Path:
    """The clip so many pixels high."""
    source, path = open_source(str(clip), None), folder / f"{clip.stem}_{height}.mp4"
    size = (round(source.width * height / source.height) & ~1, height)
    with VideoWriter(path, source.fps) as video:
        for frame in source:
            video.write(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA))
    return path


def compared(clip: Path, old: Path, turns: int, options: list[str], folder: Path) -> bool:
    """Print the rates of one clip; whether both ways gave the same numbers."""
    print(f"{clip.name} {' '.join(options)}")
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    busy, same, as_before = {}, True, True
    for _ in range(turns):
        for way in WAYS:
            summary = run(
                clip, old if way == "before" else HERE, folder / way, options + ["--in-turn"] * (way == "in turn")
            )
            rates[way].append(summary["frames_per_second"])
            busy = summary["stage_busy"] if way == "now" else busy
        same &= equal(folder / "now/humans.npz", folder / "in turn/humans.npz")
        as_before &= equal(folder / "before/humans.npz", folder / "now/humans.npz")
        said = ", ".join(f"{way} {rates[way][-1]:.2f}" for way in WAYS)
        ratio = rates["now"][-1] / rates["before"][-1]
        print(f"  images/s: {said}; now against before {ratio:.2f}; load {os.getloadavg()[0]:.1f}", flush=True)
    ratios = np.divide(rates["now"], rates["before"])
    print(f"  median {np.median(rates['now']):.2f} images/s, {np.median(ratios):.2f} times before; busy: {busy}")
    print(f"  the same numbers to the bit: in turn {same}, before {as_before}")
    return same


def run(clip: Path, checkout: Path, out: Path, options: list[str]) -> dict:
    """`hmr run` from the sources of a checkout; its summary."""
    command = [sys.executable, "-m", "hmr_ros", "run", clip, "--out", out, *options]
    subprocess.run(command, cwd=checkout, env=environment(checkout), check=True, capture_output=True)
    return json.loads((out / "summary.json").read_text())


if __name__ == "__main__":
    sys.exit(main())
