"""People who lie, crawl, stand on their heads or sit: who is found, how wrong they are, and which stage is to blame.

`python benchmarks/rare_poses.py motion2/train2.npz motion2/train2_index.json OUT [--frames 60] [--images]`: three clips
a group are rendered to OUT (once), run with the defaults of files and of the live node, without refinement, by the
closed form, with BlazePose's landmarks in the true crop, and with true landmarks in place of BlazePose's: in the image
alone, in depth alone, and both. PA-MPJPE of the 12 limb joints where the person was found. `--images` writes an overlay
of each clip's worst frame.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from closeness import depth_signs
from methods import Replay

from hmr_ros.body.coarse import coarse_of
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.crowd import boxes
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evaluate.tracking import box_overlap
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import roi_from_points
from hmr_ros.io.model_store import asset, landmark_models
from hmr_ros.io.results import HumansTable, load_arrays, load_humans, save_arrays
from hmr_ros.io.video import open_source, save_image
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.perception.detector import BODY_SCALE
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.pipeline import Pipeline
from hmr_ros.synth.render import render_file
from hmr_ros.types import Camera, Floats, Frame, Human, Track
from hmr_ros.view.overlay import draw_humans

LEAST_OVERLAP = 0.3  # of the boxes around the 24 joints, for somebody to be the person
TILTS = (0, 30, 60, 90, 120, 180)  # deg, of the trunk against upright
# recordings, and what the chosen frames have most of: a tilted trunk, or hips near hands and feet
GROUPS = {
    "lying": (("m2m_Sleeping", "tilt"), ("m2m_Death01", "tilt"), ("deepmimic_getup_faceup", "low")),
    "crawling": (("deepmimic_crawl", "tilt"), ("m2m_Crawl_RM", "tilt"), ("m2m_Pushup", "tilt")),
    "inverted": (("cmu_49_08", "tilt"), ("cmu_85_14", "tilt"), ("cmu_85_12", "tilt")),
    "seated": (("cmu_14_30", "low"), ("m2m_Sitting_Talking_Loop", "low"), ("m2m_Meditate", "low")),
}
JOINT_PAIRS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class Seen:
    """A clip in one mode: what was found of the person in each of its N frames (NaN: nobody)."""

    tilt: Floats  # [N] deg
    landmarks: Floats  # [N,12,3] BlazePose's world landmarks
    found: dict[str, Floats]  # input -> [N,12,3] m
    true: Floats  # [N,12,3] m
    swapped: Floats  # [N] arms or legs of one side lie on the other


def main() -> None:
    """Render, run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("motion", type=Path)
    parser.add_argument("index", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--modes", nargs="+", choices=("files", "live"), default=["files", "live"])
    parser.add_argument("--images", action="store_true", help="overlays of the worst frames, to OUT")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    clips = rendered(args)
    for mode in args.modes:
        config = offline(HmrConfig(), mode == "live")
        print(f"\n{mode}")
        rows = {group: [seen(path, config, args.images and mode) for path in paths] for group, paths in clips.items()}
        report(clips, rows)


def rendered(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Group -> clips with their truth beside them."""
    arrays = load_arrays(args.motion)
    recordings = {r["name"]: r for r in json.loads(args.index.read_text())}
    clips: dict[str, list[Path]] = {}
    for group, members in GROUPS.items():
        for k, (name, most) in enumerate(members):
            clip = args.out / f"{group}_{k}_{name}.mp4"
            clips.setdefault(group, []).append(clip)
            if clip.exists():
                continue
            r = recordings[name]
            rows = chosen(arrays, np.arange(r["start"], r["end"]), args.frames, most)
            motion = clip.with_suffix(".motion.npz")
            save_arrays(motion, poses=arrays["poses"][rows], trans=arrays["trans"][rows], fps=np.array(30.0))
            render_file(
                [motion], clip, clip.with_suffix(".npz"), camera=None, size="640x480", fps=None, seed=7 + k,
                max_frames=None, vertices=False, body=None,
            )  # fmt: skip
    return clips


def chosen(arrays: dict[str, Floats], rows: Floats, length: int, most: str) -> Floats:
    """The piece of so many consecutive frames without a bad one that has `most` of what it is chosen for."""
    pose = arrays["poses"][rows].astype(np.float64)
    tilt, joints = trunk(pose)
    height = joints[:, 0, 1] - joints[:, [SMPL[n] for n in ("left_ankle", "right_ankle")], 1].min(1)
    value = tilt if most == "tilt" else -height
    value = np.where(arrays["bad_frame"][rows], -1e3, value)
    length = min(length, len(rows))
    sums = np.convolve(value, np.ones(length), "valid")
    start = int(np.argmax(sums))
    return rows[start : start + length]


def trunk(pose: Floats) -> tuple[Floats, Floats]:
    """Tilt [N] deg of the trunk against upright, and joints [N,24,3] m, of poses [N,72] in a y-up world."""
    body = load_body()
    rest = np.broadcast_to(body.rest_joints(np.zeros(10)), (len(pose), 24, 3))
    _, joints = forward_kinematics(pose_matrices(pose[:, :3], pose[:, 3:]), rest)
    up = joints[:, SMPL["neck"]] - joints[:, 0]
    return np.degrees(np.arccos(np.clip(up[:, 1] / np.linalg.norm(up, axis=1), -1, 1))), joints


def seen(clip: Path, config: HmrConfig, images: str) -> Seen:
    """Run a clip with what was found, and with true landmarks; `images`: the mode's name, for the overlay's."""
    truth = load_humans(clip.with_suffix(".npz"))
    tilt, _ = trunk(load_arrays(clip.with_suffix(".motion.npz"))["poses"].astype(np.float64))
    frames = list(open_source(str(clip), Camera(truth.K, 0, 0)))
    tracker = build_pipeline(replace(config, refine="none")).tracker
    tracks = {f.index: tracker.step(f) for f in frames}
    marks = true_landmarks(truth)
    own = {f.index: nearest(tracks[f.index], truth, f.index) for f in frames}
    other = {"not refined": replace(config, refine="none"), "closed form": replace(config, recover="kinematic")}
    answers = {"as seen": run(config, frames, tracks)} | {n: run(c, frames, tracks) for n, c in other.items()}
    for name, change in changes(marks, truth.K).items():
        given = {i: [change(t, i)] if (t := own[i]) is not None else [] for i in own}
        answers[name] = run(config, frames, given)
    landmarker = Landmarker(landmark_models(config.tracker.landmark_network), 1)
    aimed = {f.index: in_true_crop(landmarker, f, own[f.index], project(marks[f.index], truth.K)) for f in frames}
    answers["true crop"] = run(config, frames, aimed)
    limbs = {name: np.array([limbs_of(a.get(f.index), truth, f.index) for f in frames]) for name, a in answers.items()}
    true = truth.joints[[f.index for f in frames]][:, SMPL_LIMBS]
    nobody = np.full((12, 3), np.nan)
    points = [nobody if (t := own[f.index]) is None else t.keypoints.keypoints_3d[BLAZEPOSE_LIMBS] for f in frames]
    flat = [None if (t := own[f.index]) is None else t.keypoints.keypoints_2d[BLAZEPOSE_LIMBS, :2] for f in frames]
    swapped = np.array([np.nan if p is None else sides_wrong(p, project(true[i], truth.K)) for i, p in enumerate(flat)])
    if images:
        worst_image(clip, images, frames, answers["as seen"], limbs["as seen"], true)
    return Seen(tilt[: len(frames)], np.array(points), limbs, true, swapped)


def run(config: HmrConfig, frames: list[Frame], tracks: dict[int, list[Track]]) -> dict[int, list[Human]]:
    """Everything after tracking."""
    pipeline = Pipeline(load_body(), Replay(tracks), build_stages(config))
    return {r.frame.index: r.humans for r in pipeline.results(frames)}


def true_landmarks(truth: HumansTable) -> Floats:
    """What the 33 landmarks stand for [N,33,3] m on the true body, camera frame."""
    body = load_body()
    weights = load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()  # [33,448]
    points = coarse_of(body).points(body)
    out = []
    for orient, pose, betas, joints in zip(
        truth.global_orient, truth.body_pose, truth.betas, truth.joints, strict=True
    ):
        posed = points.posed(pose_matrices(orient, pose), betas)
        out.append(weights @ (posed - body.rest_joints(betas)[0] + joints[0]))
    return np.array(out)


def changes(marks: Floats, K: Floats) -> dict[str, Callable[[Track, int], Track]]:
    """Tracks with a part of their landmarks replaced by the truth of the frame."""

    def given(image: bool, depth: bool) -> Callable[[Track, int], Track]:
        def change(track: Track, i: int) -> Track:
            old = track.keypoints
            flat, world, limbs = old.keypoints_2d.copy(), old.keypoints_3d, old.limbs
            if image:
                flat[:, :2], flat[:, 2] = project(marks[i], K), 1.0
            if depth:
                world, limbs = marks[i] - marks[i, 23:25].mean(0), None
            changed = replace(old, keypoints_2d=flat, keypoints_3d=world, heat=None, limbs=limbs)
            return replace(track, keypoints=changed)

        return change

    return {"true 2D": given(True, False), "true depth": given(False, True), "true both": given(True, True)}


def in_true_crop(landmarker: Landmarker, frame: Frame, track: Track | None, flat: Floats) -> list[Track]:
    """The track with the landmarks that the networks see in the crop of the true landmarks [33,2] px."""
    hips, shoulders = flat[23:25].mean(0), flat[11:13].mean(0)
    up = (shoulders - hips) / max(float(np.linalg.norm(shoulders - hips)), 1e-6)
    roi = roi_from_points(hips, hips + up * np.linalg.norm(flat - hips, axis=1).max(), BODY_SCALE)
    keypoints = looked(landmarker, frame.image, roi) if track is not None else None
    return [] if track is None or keypoints is None else [replace(track, keypoints=keypoints)]


def nearest(tracks: list[Track], truth: HumansTable, i: int) -> Track | None:
    """The track that is the person's; None where nobody is."""
    best = best_of([t.keypoints.keypoints_2d[:, :2] for t in tracks], truth.joints_2d[i])
    return None if best is None else tracks[best]


def limbs_of(humans: list[Human] | None, truth: HumansTable, i: int) -> Floats:
    """Limb joints [12,3] m of whoever is the person, NaN where nobody is."""
    people = humans or []
    best = best_of([h.joints_2d for h in people], truth.joints_2d[i])
    return np.full((12, 3), np.nan) if best is None else people[best].joints[SMPL_LIMBS]


def best_of(people_2d: list[Floats], truth_2d: Floats) -> int | None:
    """Whose box of pixels [N,2] overlaps the true one most; None where none does by `LEAST_OVERLAP`."""
    overlaps = [float(box_overlap(boxes(points[None]), boxes(truth_2d[None]))[0, 0]) for points in people_2d]
    return int(np.argmax(overlaps)) if overlaps and max(overlaps) > LEAST_OVERLAP else None


def sides_wrong(found: Floats, true: Floats) -> bool:
    """Whether arms or legs [12,2] px are nearer to the truth when left and right change places."""
    other = found.reshape(6, 2, 2)[:, ::-1].reshape(12, 2)
    off, swapped = (np.linalg.norm(p - true, axis=-1) for p in (found, other))
    return any(swapped[part].mean() < off[part].mean() for part in (slice(2, 6), slice(8, 12)))


def worst_image(
    clip: Path, mode: str, frames: list[Frame], humans: dict[int, list[Human]], found: Floats, true: Floats
) -> None:
    """Overlay of the frame with the largest error, or of the middle one where nobody was found."""
    there = np.isfinite(found).all((1, 2))
    errors = np.where(there, 0.0, -1.0)
    errors[there] = procrustes_errors(found[there], true[there]).mean(1)
    i = int(np.argmax(errors)) if there.any() else len(frames) // 2
    image = draw_humans(frames[i].image.copy(), humans.get(frames[i].index, []), load_body())
    save_image(clip.with_suffix(f".{mode}.png"), np.concatenate([frames[i].image, image], 1))


def report(clips: dict[str, list[Path]], rows: dict[str, list[Seen]]) -> None:
    """By clip and group, by joint, by tilt."""
    names = list(next(iter(rows.values()))[0].found)
    print(
        f"{'':<34} {'found':>8} {'tilt':>5} {'BlazePose':>10}" + "".join(f"{n:>12}" for n in names) + "  swapped   sign"
    )
    for group, parts in rows.items():
        for path, row in zip(clips[group], parts, strict=True):
            line(path.stem, row, names)
        line(f"{group}, all", joined(parts), names)
    print(f"\n{'as seen, by joint':<20}" + "".join(f"{j:>10}" for j in JOINT_PAIRS))
    for group, parts in rows.items():
        errors, _ = errors_of(joined(parts), "as seen")
        by_joint = [errors[:, [n.endswith(j) for n in LIMB_JOINTS]].mean() for j in JOINT_PAIRS] if len(errors) else []
        print(f"{group:<20}" + "".join(f"{e:>10.1f}" for e in by_joint))
    everybody = joined([row for parts in rows.values() for row in parts])
    errors, there = errors_of(everybody, "as seen")
    print("\nas seen, by tilt of the trunk: found, PA-MPJPE")
    for low, high in pairwise(TILTS):
        at = (everybody.tilt >= low) & (everybody.tilt < high)
        inside = at[there]
        mean = f"{errors[inside].mean():.1f}" if inside.any() else "-"
        print(f"{low:>4} to {high:>3} deg: {int((at & there).sum())}/{int(at.sum())}, {mean} mm")


def joined(parts: list[Seen]) -> Seen:
    """All frames of several clips."""
    found = {n: np.concatenate([p.found[n] for p in parts]) for n in parts[0].found}
    rest = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("tilt", "landmarks", "true", "swapped")}
    return Seen(found=found, **rest)


def errors_of(row: Seen, name: str) -> tuple[Floats, Floats]:
    """Errors [M,12] mm where the person was found, and where that is [N]."""
    there = np.isfinite(row.found[name]).all((1, 2))
    return procrustes_errors(row.found[name][there], row.true[there]), there


def line(name: str, row: Seen, names: list[str]) -> None:
    """One line: share found, median tilt, errors of the landmarks and of each input, the landmarks' sides and signs."""
    there = errors_of(row, "as seen")[1]
    seen_by = np.isfinite(row.landmarks).all((1, 2))
    bare = procrustes_errors(row.landmarks[seen_by], row.true[seen_by]).mean() if seen_by.any() else np.nan
    means = [e.mean() if len(e := errors_of(row, n)[0]) else np.nan for n in names]
    signs = [depth_signs(a, b) for a, b in zip(row.landmarks[seen_by], row.true[seen_by], strict=True)]
    swapped = 100 * np.nanmean(row.swapped) if seen_by.any() else np.nan
    sign = 100 * np.concatenate(signs).mean() if signs else np.nan
    print(
        f"{name:<34} {int(there.sum()):>4}/{len(there):<3} {np.median(row.tilt):>5.0f} {bare:>10.1f}"
        + "".join(f"{m:>12.1f}" for m in means) + f" {swapped:>7.0f} % {sign:>4.0f} %", flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
