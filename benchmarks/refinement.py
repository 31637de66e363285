"""Refinement side by side on rendered clips, at equal lag (none but `--quality`, which sees the whole clip).

`python benchmarks/refinement.py CLIP... --motion TRAIN.npz`; a CLIP is the video of `hmr render ... --out CLIP.mp4
--truth CLIP.npz`, its truth lies beside it. Landmarks as live, without the flip test. Columns: acceleration error m/s^2
(24 joints, pelvis at the origin), PA-MPJPE mm (12 limb joints), reprojection px against the landmarks (weighted by
confidence), lag of the limbs' motion behind the truth, ms a frame. The last lines hold the live refinement against the
best One-Euro of equal or better PA-MPJPE.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from comparators import OneEuro, Smplify
from published import Published

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import acceleration_errors, procrustes_errors
from hmr_ros.factory import build_pipeline, engine_request, offline
from hmr_ros.io.results import HumansTable, load_humans
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Answer, Estimate, Observation, humans_of
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import RefineNetwork, ScoreRefinement
from hmr_ros.runtime.selection import select
from hmr_ros.synth.poses import load_recorded
from hmr_ros.types import Camera, Floats

FPS = 30.0
_STEADY_M = 0.062  # `landmark_sigma_m` of somebody who prefers steadiness
Method = Callable[[list[Observation], BodyModel], list[Estimate]]


def main() -> None:
    """Print one line a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--motion", type=Path, help="motion file for the SMPLify-style optimiser's prior")
    parser.add_argument("--prior", type=Path, help="weights (default: the shipped ones)")
    parser.add_argument("--live-peer", action="store_true", help="ScoreHMR's settings frame by frame too: slow")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    body, prior = load_body(None), load_prior(args.prior)
    network = refine_network(args.prior)
    clips = [seen_people(c) for c in args.clips]
    methods: dict[str, Method] = {"none": lambda people, _: [p.estimate for p in people]}
    euro = [(cutoff, beta) for cutoff in (0.5, 1, 2, 3, 4, 6, 8) for beta in (0.0, 0.3, 1.0, 3.0, 10.0)]
    methods |= {f"One-Euro {c} {b}": OneEuro(c, b) for c, b in euro}
    if args.motion:
        poses = load_recorded(args.motion).poses
        methods |= {f"SMPLify-style, {n} iterations": Smplify(poses, n) for n in (5, 15)}
    methods["ScoreHMR's settings, whole track"] = Published(prior)
    if args.live_peer:
        methods["ScoreHMR's settings, live window"] = Published(prior, 16)
    presets = {"keypoints": KEYPOINTS, "temporal": Guidance()}
    presets[f"temporal, landmark_sigma_m {_STEADY_M}"] = Guidance(sigma_ray=_STEADY_M)
    for name, guidance in presets.items():
        methods[f"refine: {name}"] = lambda people, b, g=guidance: live(people, ScoreRefinement(network, b, g))
    for lag in (1, 2, 4):
        methods[f"refine: temporal, lag {lag}"] = lambda people, b, lag=lag: live(
            people, ScoreRefinement(network, b, Guidance(), lag)
        )
    methods["--quality"] = lambda people, b: refine_tracks(people, prior, b)
    rows = {name: measured(name, method, clips, body) for name, method in methods.items()}
    compare(rows)


def refine_network(weights: Path | None = None) -> RefineNetwork:
    """The network of live refinement on the engine that would be chosen; with other weights of the prior, in torch."""
    if weights is None:
        return RefineNetwork(select("auto", engine_request(HmrConfig(), "refine")).engine)
    return RefineNetwork(select("torch", engine_request(HmrConfig(), "refine", {"prior": weights})).engine)


def seen_people(clip: Path, recover: str = "posture") -> tuple[list[Observation], HumansTable]:
    """The longest track before refinement, and the truth."""
    truth = load_humans(clip.with_suffix(".npz"))
    pipeline = build_pipeline(offline(HmrConfig(recover=recover), as_live=True))
    people = [p for frame in open_source(str(clip), Camera(truth.K, 0, 0)) for p in pipeline.observe(frame)]
    ids = [p.track.track_id for p in people]
    longest = max(set(ids), key=ids.count)
    return [p for p in people if p.track.track_id == longest], truth


def live(people: list[Observation], refinement: ScoreRefinement) -> list[Estimate]:
    """Frame by frame; each answer when as many more frames have been seen as the refinement's lag."""
    waiting: list[Answer] = []
    answers: list[Estimate] = []
    for person in people:
        waiting.append(refinement.observe(person.stamp_ns, [person]))
        if len(waiting) > refinement.lag:
            answers += waiting.pop(0)()
    return answers + [estimate for answer in waiting for estimate in answer()]


def measured(
    name: str, method: Method, clips: list[tuple[list[Observation], HumansTable]], body: BodyModel
) -> tuple[float, float, float, float]:
    """Means over the clips, printed."""
    figures = []
    for people, truth in clips:
        start = time.perf_counter()
        out = method(people, body)
        ms = 1e3 * (time.perf_counter() - start) / len(out)
        true = truth.joints[[int(np.flatnonzero(truth.frame == p.frame)[0]) for p in people]]
        joints = np.array([e.joints for e in out])
        acceleration = acceleration_errors(joints - joints[:, :1], true - true[:, :1], FPS).mean()
        limbs = procrustes_errors(joints[:, SMPL_LIMBS], true[:, SMPL_LIMBS]).mean()
        seen = np.array([p.track.keypoints.keypoints_2d[BLAZEPOSE_LIMBS] for p in people])
        shown = [humans_of([p], [e], body)[0] for p, e in zip(people, out, strict=True)]
        placed = np.array([h.joints_2d[SMPL_LIMBS] for h in shown])
        pixels = np.linalg.norm(placed - seen[..., :2], axis=-1)
        late = lag_ms((joints - joints[:, :1])[:, SMPL_LIMBS], (true - true[:, :1])[:, SMPL_LIMBS])
        figures.append((acceleration, limbs, (pixels * seen[..., 2]).sum() / seen[..., 2].sum(), ms, late))
    a, b, c, d, e = np.mean(figures, axis=0).tolist()
    print(
        f"{name:<38} acceleration {a:6.2f}  PA-MPJPE {b:6.2f}  reprojection {c:5.2f}  lag {e:5.1f} ms  {d:7.2f} ms",
        flush=True,
    )
    return a, b, c, d


def lag_ms(joints: Floats, true: Floats) -> float:
    """By how much `joints` [F,J,3] run after `true`: the shift of the truth that fits their velocities best, between
    whole frames by a parabola."""
    speed, true_speed = np.diff(joints, axis=0), np.diff(true, axis=0)
    reach = 4
    inner = speed[reach:-reach]
    shifts = np.arange(-reach, reach + 1)
    rows = np.arange(reach, len(speed) - reach)
    errors = np.array([((inner - true_speed[rows - k]) ** 2).sum() for k in shifts])
    k = int(np.clip(errors.argmin(), 1, len(shifts) - 2))
    left, middle, right = errors[k - 1 : k + 2]
    return float(1e3 / FPS * (shifts[k] + 0.5 * (left - right) / (left - 2 * middle + right)))


def compare(rows: dict[str, tuple[float, float, float, float]]) -> None:
    """The live refinement against none, the best One-Euro, and what `--quality` gains."""
    none, ours, best = rows["none"], rows["refine: temporal"], rows["--quality"]
    equal = [r for name, r in rows.items() if name.startswith("One-Euro") and r[1] <= ours[1]]
    print(
        f"acceleration error against none: {100 * (ours[0] / none[0] - 1):+.0f} %, PA-MPJPE {ours[1] - none[1]:+.1f} mm"
    )
    if equal:
        rival = min(r[0] for r in equal)
        print(
            f"against the best One-Euro of equal or better PA-MPJPE ({rival:.2f}): {100 * (ours[0] / rival - 1):+.0f} %"
        )
    else:
        closest = min((r for name, r in rows.items() if name.startswith("One-Euro")), key=lambda r: r[1])
        print(f"no One-Euro has an equal or better PA-MPJPE (the best has {closest[1]:.2f} at {closest[0]:.2f} m/s^2)")
    print(f"share of the offline gain in acceleration error: {100 * (none[0] - ours[0]) / (none[0] - best[0]):.0f} %")
    keypoints = rows["refine: keypoints"]
    print(f"reprojection with keypoints: {100 * (keypoints[2] / none[2] - 1):+.0f} %")


if __name__ == "__main__":
    main()
