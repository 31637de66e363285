"""PA-MPJPE and 2D error on the two-view balance clip (12 limb joints, reliable ones, frames with ten of them).

`python benchmarks/balance.py FOLDER --view 0`; prints ours and, from the same frames, BlazePose's own landmarks.
"""

import argparse
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import project
from hmr_ros.io.video import open_source
from hmr_ros.types import Camera, Floats

MIN_RELIABLE = 10


def main() -> None:
    """Run the video and print medians and means in millimetres and pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with cam01.mp4, cam02.mp4 and reference.npz")
    parser.add_argument("--view", type=int, choices=(0, 1), default=0)
    args = parser.parse_args()
    reference = np.load(args.folder / "reference.npz")
    names = [str(n) for n in reference["joint_names"]]
    index = [names.index(n.split("_")[0][0].upper() + n.split("_")[1].capitalize()) for n in LIMB_JOINTS]
    K, R, t = (reference[k][args.view] for k in ("K", "R", "t"))
    pipeline = build_pipeline(offline(HmrConfig()))
    rows: dict[str, list[float]] = {"ours": [], "landmarks": [], "ours 2D": [], "landmarks 2D": []}
    for frame in open_source(str(args.folder / f"cam0{args.view + 1}.mp4"), Camera(K, 1080, 1920)):
        tracks = pipeline.tracker.step(frame)
        humans = pipeline.recovery(frame, tracks)
        good = reference["reliable"][frame.index][index]
        if not humans or good.sum() < MIN_RELIABLE:
            continue
        track, human = min(zip(tracks, humans, strict=True), key=lambda pair: pair[1].track_id)
        truth = (reference["joints3d"][frame.index][index] @ R.T + t)[good]
        world = track.keypoints.keypoints_3d[BLAZEPOSE_LIMBS][good]
        _add(rows, "ours", human.joints[SMPL_LIMBS][good], human.joints_2d[SMPL_LIMBS][good], truth, K)
        _add(rows, "landmarks", world, human.keypoints_2d[BLAZEPOSE_LIMBS, :2][good], truth, K)
    for name, values in rows.items():
        unit = "px" if "2D" in name else "mm"
        print(f"{name:<13} median {np.median(values):6.1f} {unit}   mean {np.mean(values):6.1f} {unit}   {len(values)}")


def _add(rows: dict[str, list[float]], name: str, joints: Floats, pixels: Floats, truth: Floats, K: Floats) -> None:
    rows[name].append(float(procrustes_errors(joints[None], truth[None]).mean()))
    rows[f"{name} 2D"].append(float(np.linalg.norm(pixels - project(truth, K), axis=-1).mean()))


if __name__ == "__main__":
    main()
