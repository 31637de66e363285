"""Who is found in single images: recall, false people and time of the detectors, with and without tiles.

`python benchmarks/detector.py DATA [--kinds movenet ...] [--tiles "" "0.6,0.4"] [--sheets FOLDER]`; DATA holds the
images of `detector_people.csv`, whose people were marked by eye: kind `clear` (counted), `small` (below 90 px tall,
counted apart), `partly` and `crowd` (neither missed nor false). Each image is a first frame: every window is searched,
and people are those that the landmark network confirms, as in `hmr run`. `--sheets` draws them, one sheet a detector.
`--turned` shows every image with one clear person upright, on either side and upside down; `--far HEIGHT_PX` people who
stand, as tall as that in 1920x1080.
"""

import argparse
import csv
import time
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from hmr_ros.config import HmrConfig
from hmr_ros.factory import offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.model_store import blazepose_models
from hmr_ros.io.video import open_source
from hmr_ros.perception.finders import build_finder
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.tracker import PersonTracker
from hmr_ros.types import Frame

STANDING = ("photos/bar_1", "photos/side_bend", "photos/tree_pose", "photos/pose_squats.mp4:0", "footage/weightlifter")
HEIGHT = 1.9  # of somebody who stands, in marked radii
NEAR, SIZE = 0.5, 2.0  # of the marked radius: how far the hips may be off, and how many times larger or smaller


def main() -> None:
    """One line a detector, and with --each one line an image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["blazepose", "movenet", "both"])
    parser.add_argument("--tiles", nargs="+", default=["", "0.6", "0.6,0.4"])
    parser.add_argument("--each", action="store_true", help="one line an image")
    parser.add_argument("--turned", action="store_true")
    parser.add_argument("--far", type=int, metavar="HEIGHT_PX")
    parser.add_argument("--sheets", type=Path)
    args = parser.parse_args()
    landmarker = Landmarker([blazepose_models().landmarks], 1)
    scenes = read_scenes(args.data)
    scenes = list(turned(scenes) if args.turned else far(scenes, args.far) if args.far else scenes)
    for kind in args.kinds:
        for fractions in args.tiles:
            one_detector(kind, fractions, landmarker, scenes, args)


def one_detector(kind, fractions, landmarker, scenes, args):
    """Run it over all images and print what it found."""
    config = offline(HmrConfig(), as_live=True)
    finder = Timed(build_finder(replace(config.detector, kind=kind), 1))
    tracker = PersonTracker(finder, landmarker, config.tracker, replace(config.detector, tile_fractions=fractions))
    total, panels, milliseconds = defaultdict(int), [], []
    for name, image, people in scenes:
        tracker.reset()
        finder.seconds = 0.0
        found = [t.keypoints.next_roi for t in tracker.step(as_frame(image))]
        milliseconds.append(finder.seconds * 1e3)
        count = judge(found, people)
        for key, value in count.items():
            total[key] += value
        if args.each:
            print(f"  {name:<36} " + "  ".join(f"{k} {v}" for k, v in count.items()))
        panels.append(draw(name, image, found, people))
    print(
        f"{kind:<10} tiles {fractions or 'none':<8} clear {total['clear found']}/{total['clear']}"
        f"   small {total['small found']}/{total['small']}   false {total['false']}   twice {total['twice']}"
        f"   {np.mean(milliseconds):6.1f} ms an image, {finder.windows / len(scenes):.1f} windows",
        flush=True,
    )
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(args.sheets / f"{kind}_{fractions or 'none'}.png"), sheet(panels))


class Timed:
    """A finder and the time that it took."""

    def __init__(self, finder):
        self._finder, self.seconds, self.windows = finder, 0.0, 0
        self.min_score = finder.min_score

    def __call__(self, image, window):
        """What the finder says."""
        start = time.perf_counter()
        found = self._finder(image, window)
        self.seconds += time.perf_counter() - start
        self.windows += 1
        return found


def read_scenes(data):
    """Name, image and marked people (kind, x, y, radius) of every image in the table."""
    table = defaultdict(list)
    with (Path(__file__).parent / "detector_people.csv").open() as file:
        for row in csv.DictReader(file):
            person = row["kind"], float(row["x"]), float(row["y"]), float(row["radius"])
            table[row["file"], int(row["frame"])].append(person)
    for (name, index), people in table.items():
        yield f"{name}:{index}", next(islice(open_source(str(data / name), None), index, None)).image, people


def turned(scenes):
    """Images with one clear person and nobody else, in four turns."""
    for name, image, people in scenes:
        if len(people) != 1:
            continue
        _, x, y, radius = people[0]
        shown = image
        for turn in range(0, 360, 90):
            yield f"{name} {turn}", shown, [("clear", x, y, radius)]
            shown, x, y = cv2.rotate(shown, cv2.ROTATE_90_CLOCKWISE), shown.shape[0] - 1 - y, x


def far(scenes, height):
    """People who stand, `height` px tall, at twelve places of 1920x1080, on what a blur leaves of their image."""
    for name, image, people in scenes:
        if not name.startswith(STANDING):
            continue
        scale = height / (HEIGHT * people[0][3])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:1000, :1800]
        ground = cv2.resize(cv2.GaussianBlur(image, (0, 0), image.shape[0] / 10), (1920, 1080))
        h, w = small.shape[:2]
        for i, (x, y) in enumerate((x, y) for y in (0.1, 0.5, 0.9) for x in (0.05, 0.35, 0.65, 0.95)):
            scene, left, top = ground.copy(), round(x * (1920 - w)), round(y * (1080 - h))
            scene[top : top + h, left : left + w] = small
            _, u, v, radius = people[0]
            yield f"{name} {i}", scene, [("clear", u * scale + left, v * scale + top, radius * scale)]


def as_frame(image):
    """A frame as the pipeline sees it."""
    return Frame(0, 0, image, guess_camera(image.shape[1], image.shape[0]))


def judge(found, people):
    """Counts of one image."""
    taken, count = set(), defaultdict(int)
    for kind in ("clear", "small"):
        count[kind], count[f"{kind} found"] = sum(p[0] == kind for p in people), 0
    for kind, x, y, radius in people:
        fits = [
            i for i, roi in enumerate(found)
            if np.hypot(*(roi.center_px - [x, y])) < (1 if kind == "crowd" else NEAR) * radius
            and (kind == "crowd" or 1 / SIZE < roi.size_px / (2.5 * radius) < SIZE)
        ]  # fmt: skip
        if kind in ("clear", "small"):
            count[f"{kind} found"] += bool(fits)
            count["twice"] += max(0, len(set(fits) - taken) - 1)
        taken.update(fits)
    count["false"] = len(found) - len(taken)
    return count


def draw(name, image, found, people, side=400):
    """Found people as arrows from the hips, marked ones as circles: green clear, yellow the others."""
    scale = side / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((side + 18, side, 3), np.uint8)
    canvas[18 : 18 + small.shape[0], : small.shape[1]] = small
    for kind, x, y, radius in people:
        colour = (0, 200, 0) if kind in ("clear", "small") else (0, 200, 200)
        cv2.circle(canvas, (round(x * scale), round(y * scale) + 18), round(radius * scale / 2), colour, 1)
    for roi in found:
        start = roi.center_px * scale + [0, 18]
        up = np.array([np.sin(roi.angle_rad), -np.cos(roi.angle_rad)]) * roi.size_px / 2.5 * scale
        cv2.arrowedLine(canvas, start.astype(int).tolist(), (start + up).astype(int).tolist(), (0, 0, 255), 2)
    cv2.putText(canvas, name, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return canvas


def sheet(panels, columns=6):
    """All panels on one image."""
    panels = panels + [np.zeros_like(panels[0])] * (-len(panels) % columns)
    return np.vstack([np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)])


if __name__ == "__main__":
    main()
