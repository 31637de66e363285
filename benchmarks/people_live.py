"""How many people the live node follows: `python benchmarks/people_live.py [--people 2 4 8] [--seconds 30]`.

Rendered people who stand anywhere in view and move (`hmr render --place crowd`), played forth and back by a camera of
its own process to `hmr live` with its defaults: two people at 1280x720 and 30 Hz, four at 20 Hz, eight at 30 Hz, each
at 640x480 too. A row a run: the share of images that were answered, the age of answers (from stamp to arrival: median,
95 %), the longest gap between two answers, how many people are answered, and the share of the time in a hurry (far
people in every other image). The exit code is 1 where a bar is missed: every image answered with two and with four
people, no stall with eight. Make it on a quiet machine; clips are kept in build/.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from live_node import Observer, played, start_ros
from soak import machine
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.crowd import arranged
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motions

SIZES = ((1280, 720), (640, 480))
HZ = {2: 30.0, 4: 20.0, 8: 30.0}
LEAST_ANSWERED, LONGEST_GAP_S = 0.99, 0.5
CLIP_FRAMES = 40
BEGIN_S = 5.0  # until everybody is found
SEED = 3


def main() -> None:
    """Render, play, print a row a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=sorted(HZ))
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run, after the first five")
    parser.add_argument("--out", type=Path, default=Path("build/people_live.json"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    runs = [(n, size, crowd_clip(args.out.parent, n, *size)) for n in args.people for size in SIZES]
    print(f"on {machine()}\n" + header())
    rows = []
    for people, size, frames in runs:
        hz = HZ.get(people, 30.0)
        start_ros()  # each run has a node of its own
        log = args.out.with_name("people_live_camera.json")
        with played(frames, hz, args.seconds + BEGIN_S, log) as (_, observer, start):
            camera = start()
            while camera.poll() is None:
                observer.spin(0.2)
            observer.spin(0.5)
        found = figures(observer, json.loads(log.read_text())["stamps_ns"], people)
        rows.append({"people": people, "size": list(size), "hz": hz, **found})
        print(line(rows[-1]), flush=True)
    args.out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
    sys.exit(0 if all(keeps(row) for row in rows) else 1)


def crowd_clip(folder: Path, people: int, width: int, height: int, count: int = CLIP_FRAMES) -> Path:
    """Images uint8 [N,H,W,3] BGR of so many people, forth and back, so that it has no seam where it begins anew."""
    file = folder / f"crowd_{people}_{width}x{height}.npy"
    if file.is_file():
        return file
    body, motion = load_body(), demo_motion(30.0)
    starts = [17 * k % (len(motion.poses) - count) for k in range(people)]
    motions = [replace(motion, poses=motion.poses[s : s + count], trans=motion.trans[s : s + count]) for s in starts]
    camera = replace(guess_camera(width, height), guessed=False)
    motions, view = arranged(motions, body, "crowd", camera, SEED)
    images = [i for i, _ in tqdm(render_motions(motions, body, view, SEED), total=count, desc=file.name, unit="frame")]
    np.save(file, np.stack(images + images[-2:0:-1]))
    return file


def figures(observer: Observer, stamps_ns: list[int], people: int) -> dict[str, Any]:
    """What came of the images with these stamps, but for the first five seconds."""
    begin = stamps_ns[0] + BEGIN_S * 1e9
    sent = [s for s in stamps_ns if s >= begin]
    answers = [a for a in observer.answers if a.stamp_ns >= begin]
    ages, gaps = np.array([a.age_ms for a in answers]), np.diff([a.at_s for a in answers])
    late = [s.values.get("hurried") == "true" for s in observer.statuses]
    return {
        "images": len(sent), "answered": len(answers) / max(len(sent), 1), "of": people,
        "age_ms": np.percentile(ages, (50, 95)).tolist() if len(ages) else [None, None],
        "longest_gap_s": float(gaps.max()) if len(gaps) else float("inf"),
        "seen": float(np.mean([a.people for a in answers])) if answers else 0.0,
        "hurried": float(np.mean(late)) if late else 0.0,
    }  # fmt: skip


def keeps(row: dict[str, Any]) -> bool:
    """Whether a row keeps the bars: up to four people every image is answered, with more nothing stalls."""
    if row["people"] <= 4:
        return bool(row["answered"] >= LEAST_ANSWERED)
    return bool(row["longest_gap_s"] <= LONGEST_GAP_S)


def header() -> str:
    """Of the table."""
    return "people  size        Hz  answered  age p50  p95 ms  longest gap s  people answered  hurried"


def line(row: dict[str, Any]) -> str:
    """A row of it."""
    size, (half, most) = "{}x{}".format(*row["size"]), row["age_ms"]
    ages = f"{half:7.0f} {most:7.0f}" if half is not None else "      -       -"
    return (
        f"{row['people']:6d}  {size:<9} {row['hz']:4.0f}  {row['answered']:8.3f} {ages}  {row['longest_gap_s']:13.2f}"
        f"  {row['seen']:7.2f} of {row['of']}     {row['hurried']:5.2f}  {'ok' if keeps(row) else 'MISS'}"
    )


if __name__ == "__main__":
    main()
