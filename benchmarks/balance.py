"""PA-MPJPE, MPJPE and 2D error on the two-view balance clip (12 limb joints, reliable ones, frames with ten of them).

`python benchmarks/balance.py FOLDER`; for each view BlazePose's own landmarks, every recovery, `recover: posture` with
each refinement, whole tracks (`--quality`), and both views together: calibrated and not, averaged, and by the loss that
ScoreHMR publishes (Eq. 13). MPJPE from the middle between the hips.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from published import together as by_loss
from reference_names import short
from refinement import live, refine_network

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import project
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Estimate, Observation, estimate_at, humans_of
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.methods.scorehmr.multiview import View, refine_views
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import ScoreRefinement
from hmr_ros.methods.scorehmr.window import pose_6d
from hmr_ros.types import Camera, Floats

MIN_RELIABLE = 10


@dataclass
class Seen:
    """One view: the man as the recoveries see him, and the reference in its camera."""

    camera: Camera
    people: list[Observation]  # by `recover: posture`
    others: dict[str, list[Estimate]]  # by the other recoveries
    truth: Floats  # [F,12,3] m
    reliable: Floats  # [F,12]


def main() -> None:
    """Print medians and means in millimetres and pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with cam01.mp4, cam02.mp4 and reference.npz")
    parser.add_argument("--as-live", action="store_true", help="landmarks without the flip test")
    parser.add_argument("--pairs", action="store_true", help="both views together, and nothing else")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reference = np.load(args.folder / "reference.npz")
    body, prior = load_body(None), load_prior()
    network = refine_network()
    others = () if args.pairs else [name for name in RECOVERIES if name != "posture"]
    views = [follow(args.folder, reference, v, args.as_live, others) for v in (0, 1)]
    posed = [View(s.people, reference["R"][v], reference["t"][v]) for v, s in enumerate(views)]
    pairs = {
        f"two views, {how}": refine_views(posed, prior, body, calibrate=how) for how in ("none", "parallel", "fit")
    }
    pairs["two views, pose alone"] = refine_views([View(s.people) for s in views], prior, body)
    if args.pairs:
        for v, seen in enumerate(views):
            print(f"view {v}")
            report_pairs(seen, {name: found[v] for name, found in pairs.items()})
        return
    both = {p.frame for p in views[0].people} & {p.frame for p in views[1].people}
    common = [[p for p in s.people if p.frame in both] for s in views]
    averaged, published = average(common, body), by_loss(common, prior, body)
    for v, seen in enumerate(views):
        print(f"view {v}")
        landmarks = [p.track.keypoints for p in seen.people]
        frames = [p.frame for p in seen.people]
        limbs = [k.keypoints_3d[BLAZEPOSE_LIMBS] for k in landmarks]
        report("landmarks", seen, frames, limbs, [k.keypoints_2d[BLAZEPOSE_LIMBS, :2] for k in landmarks])
        for name, estimates in seen.others.items():
            report_bodies(f"recover: {name}", seen, seen.people, estimates)
        report_bodies("refine: none", seen, seen.people, [p.estimate for p in seen.people])
        for name, guidance, lag in (("keypoints", KEYPOINTS, 0), ("temporal", Guidance(), 0), ("lag 4", Guidance(), 4)):
            refined = live(seen.people, ScoreRefinement(network, body, guidance, lag))
            report_bodies(f"refine: {name}", seen, seen.people, refined)
        report_bodies("--quality", seen, seen.people, refine_tracks(seen.people, prior, body))
        for name, estimates in (("two views, averaged", averaged[v]), ("two views, by loss", published[v])):
            report_bodies(name, seen, common[v], estimates)
        report_pairs(seen, {name: found[v] for name, found in pairs.items()})


def report_pairs(seen: Seen, found: dict[str, View]) -> None:
    """Lines of both views together, as one of them has them."""
    for name, view in found.items():
        report_bodies(name, seen, view.people, [p.estimate for p in view.people])


def average(views: list[list[Observation]], body: BodyModel) -> list[list[Estimate]]:
    """Body pose and shape as the mean of all views, frame by frame; each view keeps its orientation and its pelvis."""
    betas = np.mean([p.estimate.betas for view in views for p in view], axis=0)
    x = torch.as_tensor(np.array([[pose_6d(p) for p in view] for view in views]))
    x[..., 6:] = x[..., 6:].mean(0, keepdim=True)
    rotations = rotations_from_6d(x).numpy()
    return [
        [
            estimate_at(body, r, betas, p.estimate.joints[0], p.estimate.joint_covariance)
            for p, r in zip(view, of_view, strict=True)
        ]
        for view, of_view in zip(views, rotations, strict=True)
    ]


def follow(folder: Path, reference: dict[str, Floats], view: int, as_live: bool, others: Sequence[str]) -> Seen:
    """Run the video, with other recoveries beside; the man has the lowest id."""
    names = [str(n) for n in reference["joint_names"]]
    index = [names.index(short(n)) for n in LIMB_JOINTS]
    R, t = reference["R"][view], reference["t"][view]
    pipeline = build_pipeline(offline(HmrConfig(refine="none"), as_live))
    config = offline(HmrConfig(refine="none", calibrate="none"), as_live)
    stages = {name: build_stages(replace(config, recover=name)) for name in others}
    camera = Camera(reference["K"][view], 1080, 1920)
    seen = Seen(
        camera,
        [],
        {name: [] for name in stages},
        reference["joints3d"][:, index] @ R.T + t,
        reference["reliable"][:, index],
    )
    for frame in open_source(str(folder / f"cam0{view + 1}.mp4"), camera):
        people = [p for p in pipeline.observe(frame) if p.track.track_id == 0]
        seen.people += people
        tracks = [p.track for p in people]
        for name, stage in stages.items():
            seen.others[name] += stage.recovery(frame, tracks, stage.evidence(frame, tracks))
    return seen


def report_bodies(name: str, seen: Seen, people: list[Observation], estimates: list[Estimate]) -> None:
    """One line of `estimates`, one a person."""
    body = load_body(None)
    humans = [humans_of([p], [e], body)[0] for p, e in zip(people, estimates, strict=True)]
    limbs = [h.joints[SMPL_LIMBS] for h in humans], [h.joints_2d[SMPL_LIMBS] for h in humans]
    report(name, seen, [p.frame for p in people], *limbs)


def report(name: str, seen: Seen, frames: list[int], limbs: list[Floats], limbs_2d: list[Floats]) -> None:
    """One line of limb joints [12,3] m and [12,2] px, one row a frame."""
    errors, plain, pixels = [], [], []
    for frame, joints, px in zip(frames, limbs, limbs_2d, strict=True):
        good = seen.reliable[frame].astype(bool)
        if good.sum() < MIN_RELIABLE:
            continue
        true = seen.truth[frame][good]
        errors.append(procrustes_errors(joints[good][None], true[None]).mean())
        if good[:2].all():  # the hips
            found, wanted = (x - x[:2].mean(0) for x in (joints[good], true))
            plain.append(1e3 * np.linalg.norm(found - wanted, axis=-1).mean())
        pixels.append(np.linalg.norm(px[good] - project(true, seen.camera.K), axis=-1).mean())
    print(
        f"  {name:<24} PA-MPJPE mean {np.mean(errors):6.1f}  median {np.median(errors):6.1f}"
        f"   MPJPE mean {np.mean(plain):6.1f}  median {np.median(plain):6.1f} mm"
        f"   2D mean {np.mean(pixels):5.1f}  median {np.median(pixels):5.1f} px   {len(errors)} frames"
    )


if __name__ == "__main__":
    main()
