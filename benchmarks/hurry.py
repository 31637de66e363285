"""What eight people cost at leisure and in a hurry: `python benchmarks/hurry.py [--people 8] [--frames 40]`.

A rendered person eight times in one image, the node's pipeline with its defaults; medians of blocks of frames by turns.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from passing_people import passing_people
from soak import CLIP_S, HEIGHT, WIDTH

from hmr_ros.config import HmrConfig, with_values
from hmr_ros.factory import build_pipeline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.types import Frame

PERIOD_NS = 33_333_333


def main() -> None:
    """Print one row a state."""

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--frames", type=int, default=40, help="in a block; four blocks of each")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    Path("build").mkdir(exist_ok=True)
    person = np.array(np.load(passing_people(Path("build/people_faults.npy"), WIDTH, HEIGHT, CLIP_S, (0.3, 0.4))))[0]
    image = np.hstack([cv2.resize(person[:, 100:420], (240, 360), interpolation=cv2.INTER_AREA)] * args.people)
    pipeline = build_pipeline(with_values(HmrConfig(), {"threads": 1, "tracker.max_people": args.people}))
    camera, index = guess_camera(image.shape[1], image.shape[0]), 0
    took: dict[bool, list[float]] = {False: [], True: []}
    seen: dict[bool, list[int]] = {False: [], True: []}
    for block in range(-3, 8):  # the first ones find everybody
        hurried = block >= 0 and bool(block % 2)
        pipeline.hurry(hurried)
        for _ in range(args.frames):
            frame = Frame(index, index * PERIOD_NS, image, camera)
            index += 1
            start = time.perf_counter()
            result = pipeline.step(frame)
            seconds = time.perf_counter() - start
            pipeline.search(frame)
            if block >= 0:
                took[hurried].append(1e3 * seconds)
                seen[hurried].append(len(result.humans) if result else 0)
    for hurried, name in ((False, "at leisure"), (True, "in a hurry")):
        print(f"{name}: {np.median(took[hurried]):.1f} ms an image, {np.mean(seen[hurried]):.1f} people seen in it")
    print(f"ratio {np.median(took[True]) / np.median(took[False]):.2f}")


if __name__ == "__main__":
    main()
