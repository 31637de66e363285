"""Arms of a seated man in two real views, every recovery with and without refinement over time.

`python benchmarks/seated.py FOLDER [--as-live]`; FOLDER has cam_1.mp4, cam_2.mp4 and reference.npz (calibrated cameras,
joints triangulated from other detections). PA-MPJPE of the reliable shoulders, elbows and wrists in instants with five
of the six, mean and median; 2D error of the same joints. Of upper arms and forearms how many of those that leave the
image plane by more than 17 degrees lean the right way, and their length over the true one. First line: the landmarks.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from methods import Replay
from reference_names import short

from hmr_ros.body.joints import BLAZEPOSE, SMPL
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import project, undistort_points
from hmr_ros.io.video import open_source
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Camera, Floats, Human

ARMS = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in ("left", "right")]
MIN_RELIABLE = 5
BONES = {"upper arms": ((0, 2), (1, 3)), "forearms": ((2, 4), (3, 5))}  # rows of ARMS
LEAST_SINE = np.sin(np.radians(17))


def main() -> None:
    """One line a view, recovery and refinement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-live", action="store_true")
    args = parser.parse_args()
    reference = np.load(args.folder / "reference.npz")
    config = offline(HmrConfig(), args.as_live)
    for view in (0, 1):
        camera = Camera(reference["K"][view], 1280, 720, reference["dist"][view])
        frames = list(open_source(str(args.folder / f"cam_{view + 1}.mp4"), camera))
        pipeline = build_pipeline(replace(config, refine="none"))
        tracks = {f.index: pipeline.tracker.step(f) for f in frames}
        seen = [BLAZEPOSE[a] for a in ARMS]
        landmarks = {
            frame: [
                (t.keypoints.keypoints_3d[seen], undistort_points(t.keypoints.keypoints_2d[seen, :2], camera))
                for t in of
            ]
            for frame, of in tracks.items()
        }
        report_arms(f"cam_{view + 1} {'landmarks':<20}", landmarks, reference, view)
        for recover in RECOVERIES:
            for refine in ("none", "temporal"):
                stages = build_stages(replace(config, recover=recover, refine=refine))
                results = Pipeline(pipeline.body, Replay(tracks), stages).results(frames)
                people = {r.frame.index: r.humans for r in results}
                report(f"cam_{view + 1} {recover:<10} {refine:<9}", people, reference, view)


def report(label: str, people: dict[int, list[Human]], reference: dict[str, Floats], view: int) -> None:
    """One line of the joints found."""
    joints = [SMPL[a] for a in ARMS]
    given = {f: [(h.joints[joints], project(h.joints[joints], h.K)) for h in humans] for f, humans in people.items()}
    report_arms(label, given, reference, view)


def report_arms(
    label: str, people: dict[int, list[tuple[Floats, Floats]]], reference: dict[str, Floats], view: int
) -> None:
    """One line of arms [6,3] m and [6,2] px without lens distortion; the man is whoever is nearest in the image."""
    names = [str(n) for n in reference["joint_names"]]  # LShoulder and so on
    index = [names.index(short(a)) for a in ARMS]
    errors, pixels = [], []
    bones: dict[str, list[tuple[float, float, float]]] = {name: [] for name in BONES}
    for frame, arms in people.items():
        good = reference["reliable"][frame, index].astype(bool)
        if good.sum() < MIN_RELIABLE or not arms:
            continue
        true = reference["joints3d"][frame, index] @ reference["R"][view].T + reference["t"][view]
        flat = (true @ reference["K"][view].T)[:, :2] / true[:, 2:]
        off = [np.linalg.norm((px - flat)[good], axis=-1).mean() for _, px in arms]
        found = arms[int(np.argmin(off))][0]
        errors.append(procrustes_errors(found[good][None], true[good][None]).mean())
        pixels.append(min(off))
        for name, pairs in BONES.items():
            bones[name] += [lean(found, true, *pair) for pair in pairs if good[list(pair)].all()]
    if not errors:
        print(f"{label} nobody", flush=True)
        return
    parts = [f"{label} {np.mean(errors):6.1f} / {np.median(errors):6.1f} mm, 2D {np.mean(pixels):5.1f} px"]
    for name, rows in bones.items():
        sine, true_sine, ratio = np.array(rows).T
        leaning = np.abs(true_sine) > LEAST_SINE
        right = 100 * (sine * true_sine > 0)[leaning].mean()
        parts.append(f"{name} {right:3.0f} % right of {leaning.sum()}, length {ratio.mean():.2f}")
    print(f"{', '.join(parts)}, {len(errors)} instants", flush=True)


def lean(found: Floats, true: Floats, start: int, end: int) -> tuple[float, float, float]:
    """Sine of a bone's angle with the plane across its true line of sight, found and true, and the ratio of lengths."""
    ray = true[start] + true[end]
    ray = ray / np.linalg.norm(ray)
    a, b = found[end] - found[start], true[end] - true[start]
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    return float(a @ ray) / lengths[0], float(b @ ray) / lengths[1], lengths[0] / lengths[1]


if __name__ == "__main__":
    main()
