"""How often is what is said of a crop right? Proposals that are right, wrong boxes, and boxes where nobody is.

`python benchmarks/crops.py DATA [--networks full|both]`; DATA holds the images of `detector_people.csv`. From the mark
of each clear person a proposal as marked, one too large or small, one turned, one shifted, and from every image two
boxes far from everybody. Right = the answer's crop lies on a marked person (hips within 0.3 of the radius, size within
1.5). First the rule of two looks (landmark score 0.3, then 0.6), then the crop check, with how likely it called them
and how many of these were right.
"""

import argparse
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
from detector import read_scenes

from hmr_ros.config import DetectorConfig
from hmr_ros.io.model_store import landmark_models
from hmr_ros.perception.crop_check import CropCheck
from hmr_ros.perception.finders import build_finder
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.types import Detection, Roi

LIKELY, FIRST = 0.6, 0.3
NEAR, SIZE = 0.3, 1.5
BINS = (0.0, 0.1, 0.3, 0.6, 0.8, 0.95, 1.0)


def main() -> None:
    """One line a kind of box, then one a bin of probability."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", choices=("full", "both"), default="full")
    args = parser.parse_args()
    landmarker = Landmarker(landmark_models(args.networks), 1)
    check = CropCheck(build_finder(DetectorConfig(), 1), landmarker)
    counts, said = defaultdict(lambda: np.zeros(5, int)), []
    rng = np.random.default_rng(0)
    for _, image, people in read_scenes(args.data):
        for kind, proposal in boxes(image, people, rng):
            before = two_looks(landmarker, image, proposal)
            after = check(image, proposal)
            sure = after is not None and after.score >= LIKELY
            rows = counts[kind]
            rows[0] += 1
            for column, seen in ((1, before), (3, after if sure else None)):
                if seen is not None:
                    rows[column + (0 if right(seen.next_roi, people) else 1)] += 1
            if after is not None:
                said.append((after.score, right(after.next_roi, people)))
    for kind, (total, a, b, c, d) in counts.items():
        print(f"{kind:<8} {total:4d} boxes   two looks: {a:4d} right {b:4d} wrong   check: {c:4d} right {d:4d} wrong")
    scores, good = (np.array(column) for column in zip(*said, strict=True))
    for low, high in itertools.pairwise(BINS):
        rows = (scores >= low) & (scores < high)
        if rows.any():
            print(f"called {low:.2f} to {high:.2f}: {rows.sum():4d}, of which {good[rows].mean():.2f} are right")


def boxes(image, people, rng):
    """Kinds of boxes with one proposal each; proposals carry no key points of a detector."""
    clear = [np.array(p[1:]) for p in people if p[0] == "clear"]
    for x, y, radius in clear:
        centre, side = np.array([x, y]), 2.5 * radius
        yield "marked", proposed(centre, side, 0.0)
        yield "scaled", proposed(centre, side * np.exp(rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)), 0.0)
        yield "turned", proposed(centre, side, rng.choice([-1, 1]) * rng.uniform(0.5, 2.5))
        yield "shifted", proposed(centre + rng.uniform(-0.6, 0.6, 2) * side, side, 0.0)
    height, width = image.shape[:2]
    marks = np.array([p[1:] for p in people], float)
    for _ in range(2):
        side = np.exp(rng.uniform(np.log(0.15), np.log(0.8))) * height
        places = rng.uniform([0, 0], [width, height], (200, 2))
        far = np.linalg.norm(places[:, None] - marks[None, :, :2], axis=-1) > 1.3 * marks[:, 2] + side / 2.5
        if far.all(1).any():
            yield "nobody", proposed(places[far.all(1)][0], side, rng.uniform(-0.5, 0.5))


def proposed(centre, side, angle):
    """A proposal of a square."""
    return Detection(Roi(centre, float(side), float(angle)), 0.9)


def two_looks(landmarker, image, proposal):
    """The rule without a check."""
    roi = proposal.roi
    for least in (FIRST, LIKELY):
        seen = looked(landmarker, image, roi)
        if seen is None or seen.score < least:
            return None
        roi = seen.next_roi
    return seen


def right(roi, people):
    """Whether a crop is that of a marked person."""
    return any(
        np.hypot(*(roi.center_px - [x, y])) < NEAR * radius and 1 / SIZE < roi.size_px / (2.5 * radius) < SIZE
        for _, x, y, radius in people
    )


if __name__ == "__main__":
    main()
