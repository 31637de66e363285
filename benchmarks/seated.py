"""Arms of a seated man in two real views, every recovery with and without refinement over time.

`python benchmarks/seated.py FOLDER [--as-live]`; FOLDER has cam_1.mp4, cam_2.mp4 and reference.npz (calibrated cameras,
joints triangulated from other detections). PA-MPJPE of the reliable shoulders, elbows and wrists in instants with five
of the six, mean and median; 2D error of the same joints.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from methods import Replay

from hmr_ros.body.joints import SMPL
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.io.video import open_source
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import Camera, Floats, Human

ARMS = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in ("left", "right")]
MIN_RELIABLE = 5


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
        for recover in RECOVERIES:
            for refine in ("none", "temporal"):
                stages = build_stages(replace(config, recover=recover, refine=refine))
                results = Pipeline(pipeline.body, Replay(tracks), stages).results(frames)
                people = {r.frame.index: r.humans for r in results}
                report(f"cam_{view + 1} {recover:<10} {refine:<9}", people, reference, view)


def report(label: str, people: dict[int, list[Human]], reference: dict[str, Floats], view: int) -> None:
    """One line; the man is whoever is nearest to the reference in the image."""
    names = [str(n) for n in reference["joint_names"]]  # LShoulder and so on
    index = [names.index(a.split("_")[0][0].upper() + a.split("_")[1].capitalize()) for a in ARMS]
    joints = [SMPL[a] for a in ARMS]
    errors, pixels = [], []
    for frame, humans in people.items():
        good = reference["reliable"][frame, index].astype(bool)
        if good.sum() < MIN_RELIABLE or not humans:
            continue
        true = reference["joints3d"][frame, index][good] @ reference["R"][view].T + reference["t"][view]
        flat = (true @ reference["K"][view].T)[:, :2] / true[:, 2:]
        off = [np.linalg.norm(h.joints_2d[joints][good] - flat, axis=-1).mean() for h in humans]
        human = humans[int(np.argmin(off))]
        errors.append(procrustes_errors(human.joints[joints][good][None], true[None]).mean())
        pixels.append(min(off))
    found = (
        f"{np.mean(errors):6.1f} / {np.median(errors):6.1f} mm, 2D {np.mean(pixels):5.1f} px" if errors else "nobody"
    )
    print(f"{label} {found}, {len(errors)} instants", flush=True)


if __name__ == "__main__":
    main()
