"""PA-MPJPE and 2D error on the two-view balance clip (12 limb joints, reliable ones, frames with ten of them).

`python benchmarks/balance.py FOLDER`; for each view BlazePose's own landmarks, `recover: kinematic`, `recover: posture`
without and with each refinement, whole tracks (`--quality`), and both views together, calibrated and not.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from refinement import Replay, live

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.geometry.camera import project
from hmr_ros.io.video import open_source
from hmr_ros.methods.kinematic import KinematicRecovery
from hmr_ros.methods.scorehmr.multiview import View, refine_views
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import RefineEngine, ScoreRefinement
from hmr_ros.types import Camera, Floats, Human

MIN_RELIABLE = 10


@dataclass
class Seen:
    """One view: the man as both recoveries see him, and the reference in its camera."""

    camera: Camera
    posture: list[Human]
    kinematic: list[Human]
    landmarks: list[Floats]  # [12,3] m
    truth: Floats  # [F,12,3] m
    reliable: Floats  # [F,12]


def main() -> None:
    """Print medians and means in millimetres and pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with cam01.mp4, cam02.mp4 and reference.npz")
    parser.add_argument("--as-live", action="store_true", help="landmarks without the flip test")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reference = np.load(args.folder / "reference.npz")
    body, prior = load_body(None), load_prior()
    network = RefineEngine(choose_engine(HmrConfig(), "refine").engine)
    views = [follow(args.folder, reference, v, args.as_live) for v in (0, 1)]
    posed = [View(s.posture, s.camera, reference["R"][v], reference["t"][v]) for v, s in enumerate(views)]
    together = refine_views(posed, prior, body)
    apart = refine_views([View(s.posture, s.camera) for s in views], prior, body)
    for v, seen in enumerate(views):
        print(f"view {v}")
        cameras = {h.frame: seen.camera for h in seen.posture}
        report("landmarks", seen, seen.posture, seen.landmarks)
        report("kinematic", seen, seen.kinematic)
        report("refine: none", seen, seen.posture)
        for name, guidance in (("keypoints", KEYPOINTS), ("temporal", Guidance())):
            stage = ScoreRefinement(Replay(seen.posture), network, body, guidance)
            report(f"refine: {name}", seen, live(seen.posture, seen.camera, stage))
        report("--quality", seen, refine_tracks(seen.posture, cameras, prior, body))
        report("two views, calibrated", seen, together[v].humans)
        report("two views, pose alone", seen, apart[v].humans)


def follow(folder: Path, reference: dict[str, Floats], view: int, as_live: bool) -> Seen:
    """Run the video; the man has the lowest id."""
    names = [str(n) for n in reference["joint_names"]]
    index = [names.index(n.split("_")[0][0].upper() + n.split("_")[1].capitalize()) for n in LIMB_JOINTS]
    R, t = reference["R"][view], reference["t"][view]
    pipeline = build_pipeline(offline(HmrConfig(refine="none"), as_live))
    kinematic = KinematicRecovery(pipeline.body)
    camera = Camera(reference["K"][view], 1080, 1920)
    seen = Seen(camera, [], [], [], reference["joints3d"][:, index] @ R.T + t, reference["reliable"][:, index])
    for frame in open_source(str(folder / f"cam0{view + 1}.mp4"), camera):
        tracks = [t for t in pipeline.tracker.step(frame) if t.track_id == 0]
        seen.posture += pipeline.recovery(frame, tracks)
        seen.kinematic += kinematic(frame, tracks)
        seen.landmarks += [t.keypoints.keypoints_3d[BLAZEPOSE_LIMBS] for t in tracks]
    return seen


def report(name: str, seen: Seen, humans: list[Human], joints: list[Floats] | None = None) -> None:
    """One line; `joints` instead of the people's own, with their key points as pixels."""
    errors, pixels = [], []
    for k, human in enumerate(humans):
        good = seen.reliable[human.frame].astype(bool)
        if good.sum() < MIN_RELIABLE:
            continue
        true = seen.truth[human.frame][good]
        limbs = human.joints[SMPL_LIMBS] if joints is None else joints[k]
        px = human.joints_2d[SMPL_LIMBS] if joints is None else human.keypoints_2d[BLAZEPOSE_LIMBS, :2]
        errors.append(procrustes_errors(limbs[good][None], true[None]).mean())
        pixels.append(np.linalg.norm(px[good] - project(true, seen.camera.K), axis=-1).mean())
    print(
        f"  {name:<24} PA-MPJPE mean {np.mean(errors):6.1f}  median {np.median(errors):6.1f} mm"
        f"   2D mean {np.mean(pixels):5.1f}  median {np.median(pixels):5.1f} px   {len(errors)} frames"
    )


if __name__ == "__main__":
    main()
