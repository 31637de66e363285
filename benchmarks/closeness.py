"""How near rendered people come to real ones, by what BlazePose says about them.

`python benchmarks/closeness.py --balance FOLDER --seated FOLDER --clips FOLDER ... [--as-live]`: of each view or clip
BlazePose's own score, the 2D error of its limb landmarks in percent of the person's longer side in the image, PA-MPJPE
of its world landmarks, and in how many cases it has the sign of the depth of limb segments right that leave the image
plane by more than 17 degrees. A folder of clips holds what `clips.py` and `hmr render` write, CLIP.mp4 with CLIP.npz
beside it. With `--stills MOTION.npz` single images of people in those poses are rendered here, the same people before
the same cameras in each of the looks, and both networks see each alone. `--twins RESULTS`, what `hmr multiview` wrote
of the balance clip, renders the real man's pose before the real camera: how far are both networks off on the real
image and on its rendered twins, and how far are their answers from that on the real image?
Compare folders rendered from the same motion before the same camera: side and pose count more than the look.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from reference_names import short

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.io.model_store import landmark_models
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import open_source
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.pipeline import Pipeline
from hmr_ros.synth import LOOKS
from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import Person, person_roi, random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.types import Bools, Camera, Floats, Image, Keypoints

_PLANE_DEG = 17.0
_FAR = 0.35  # of the person's longer side in the image; landmarks farther from the truth are somebody else's
_TWIN = 0.35  # size of the images of which there are twins
_LEAST = 5  # known limb joints of a frame


def _index(*names: str) -> list[int]:
    return [LIMB_JOINTS.index(name) for name in names]


SEGMENTS = {
    f"{side}_{name}": _index(f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for name, a, b in (
        ("thigh", "hip", "knee"), ("shin", "knee", "ankle"),
        ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """A video of one person, and where the limb joints are."""

    name: str
    video: Path
    camera: Camera
    limbs: Floats  # [F,12,3] m, camera frame
    known: Bools  # [F,12]


@dataclass(frozen=True)
class Seen:
    """What the landmark network says where the person was found; N frames."""

    frames: int  # in which enough of the truth is known
    score: Floats  # [N]
    pixels: Floats  # [N] error, share of the person's longer side
    error_mm: Floats  # [N] PA-MPJPE
    signs: Bools  # [M] of segments that leave the image plane: right


def main() -> None:
    """One line a clip, and one for all clips of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--balance", type=Path, help="folder with cam01.mp4, cam02.mp4 and reference.npz")
    parser.add_argument("--seated", type=Path, help="folder with cam_1.mp4, cam_2.mp4 and reference.npz")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="folders of rendered clips")
    parser.add_argument("--as-live", action="store_true", help="full alone, instead of full and heavy")
    parser.add_argument("--stills", type=Path, help="motion whose poses single rendered people are in")
    parser.add_argument("--count", type=int, default=300, help="of them")
    parser.add_argument("--looks", nargs="+", default=list(LOOKS), choices=LOOKS)
    parser.add_argument("--twins", type=Path, help="results of hmr multiview on the clip in --balance")
    parser.add_argument("--every", type=int, default=5, help="frames from one twin to the next")
    parser.add_argument("--wild", action="store_true", help="wild poses, cameras and camera faults, as in training")
    args = parser.parse_args()
    if args.stills:
        stills(args)
    if args.twins:
        twins(args)
    if args.stills or args.twins:
        return
    pipeline = build_pipeline(offline(HmrConfig(refine="none"), args.as_live))
    print(f"{'':<28} {'found':>9} {'score':>6} {'2D %':>6} {'PA-MPJPE mm':>14} {'depth sign %':>13} {'segments':>9}")
    for folder, clips in groups(args):
        rows = [seen(pipeline, clip) for clip in clips]
        for clip, row in zip(clips, rows, strict=True):
            report(f"{folder} {clip.name}", row)
        if len(rows) > 1:
            report(f"{folder}, all", together(rows))


def stills(args: argparse.Namespace) -> None:
    """One line a look and network."""
    body = load_body(None)
    sampler = PoseSampler(load_recorded(args.stills), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    people = [random_person(body, sampler, rng, not args.wild) for _ in range(args.count)]
    networks = {name: Landmarker(landmark_models(name), 1) for name in ("full", "heavy")}
    print(f"{'':<28} {'found':>9} {'score':>6} {'2D %':>6} {'PA-MPJPE mm':>14} {'depth sign %':>13} {'segments':>9}")
    for look in args.looks:
        rows: dict[str, list[tuple[float, float, float, Bools]]] = {name: [] for name in networks}
        spent = 0.0
        for index, person in enumerate(people):
            own = np.random.default_rng([2, index])
            start = time.process_time()
            image = rendered_image(body, person, random_appearance(body, person, own, not args.wild, look), own)
            spent += time.process_time() - start
            for name, network in networks.items():
                rows[name].append(judged(network(image, person.roi), person.joints[SMPL_LIMBS], Camera(person.K, 0, 0)))
        for name, found in rows.items():
            score, pixels, error, signs = zip(*found, strict=True)
            report(f"{look}, {name}", Seen(len(people), *map(np.array, (score, pixels, error)), np.concatenate(signs)))
        print(f"{look}: {1e3 * spent / len(people):.1f} ms of processor time an image", flush=True)


def twins(args: argparse.Namespace) -> None:
    """Two lines a look and network: errors, and the distance to the answer on the real image."""
    body = load_body(None)
    networks = {name: Landmarker(landmark_models(name), 1) for name in ("full", "heavy")}
    rows: dict[tuple[str, str], list[tuple[float, float, float, Bools]]] = {}
    apart: dict[tuple[str, str], list[float]] = {}
    for index, (person, real) in enumerate(real_people(args.balance, args.twins, args.every)):
        images = {"real": real}
        for look in args.looks:
            own = np.random.default_rng([2, index])
            appearance = replace(random_appearance(body, person, own, True, look), occluders=[], blur_px=0.0)
            images[look] = rendered_image(body, person, appearance, own)
        for name, network in networks.items():
            answers = {look: network(image, person.roi) for look, image in images.items()}
            for look, keypoints in answers.items():
                own_row = judged(keypoints, person.joints[SMPL_LIMBS], Camera(person.K, 0, 0))
                rows.setdefault((look, name), []).append(own_row)
                pair = [a.keypoints_3d[BLAZEPOSE_LIMBS][None] for a in (keypoints, answers["real"])]
                apart.setdefault((look, name), []).append(float(procrustes_errors(*pair).mean()))
    for (look, name), found in rows.items():
        score, pixels, error, signs = zip(*found, strict=True)
        report(f"{look}, {name}", Seen(len(found), *map(np.array, (score, pixels, error)), np.concatenate(signs)))
        far = np.array(apart[look, name])
        print(f"{'':>4}apart from the answer on the real image: {far.mean():.1f} / {np.median(far):.1f} mm", flush=True)


def real_people(balance: Path, results: Path, every: int) -> Iterator[tuple[Person, Image]]:
    """The man of the balance clip as two calibrated views see him, and the images, smaller."""
    body, turns = load_body(None), np.load(balance / "reference.npz")["R"]
    for v, clip in enumerate(real_views(balance, "cam0{}.mp4", ())):
        humans = load_humans(results / clip.video.stem / "humans.npz")
        K = clip.camera.K * np.array([[_TWIN], [_TWIN], [1.0]])
        images = {f.index: f.image for f in open_source(str(clip.video), clip.camera) if f.index % every == v}
        for row, frame in enumerate(humans.frame):
            if int(frame) not in images:
                continue
            small = cv2.resize(images[int(frame)], None, fx=_TWIN, fy=_TWIN, interpolation=cv2.INTER_AREA)
            shape, place = humans.betas[row], humans.transl[row]
            given = (humans.global_orient[row], humans.body_pose[row].reshape(-1), shape, place)
            vertices, joints = body.vertices(*given), body.joints(*given)
            roi = person_roi(vertices, joints, K, np.random.default_rng(int(frame)))
            pose = np.concatenate(given[:2])
            size = (small.shape[1], small.shape[0])
            yield Person(pose, shape, place, vertices, joints, K, size, roi, turns[v][:, 2]), small


def judged(keypoints: Keypoints, true: Floats, camera: Camera) -> tuple[float, float, float, Bools]:
    """Score, 2D error as a share of the longer side, PA-MPJPE [mm] and signs, of a person whose limbs are `true`
    [12,3] m."""
    flat, limbs = projected(true, camera), keypoints.keypoints_3d[BLAZEPOSE_LIMBS]
    off = np.linalg.norm(keypoints.keypoints_2d[BLAZEPOSE_LIMBS, :2] - flat, axis=-1).mean()
    error = float(procrustes_errors(limbs[None], true[None]).mean())
    return keypoints.score, float(off / np.ptp(flat, axis=0).max()), error, depth_signs(limbs, true)


def groups(args: argparse.Namespace) -> Iterator[tuple[str, list[Clip]]]:
    """Name and clips of each folder."""
    if args.balance:
        yield "balance", real_views(args.balance, "cam0{}.mp4", LIMB_JOINTS)
    if args.seated:  # his hips are behind the table or on the chair: the reference is that of his arms
        yield "seated", real_views(args.seated, "cam_{}.mp4", LIMB_JOINTS[6:])
    for folder in args.clips:
        yield (
            folder.name,
            [rendered(path) for path in sorted(folder.glob("*.mp4")) if path.with_suffix(".npz").exists()],
        )


def real_views(folder: Path, pattern: str, judged: Sequence[str]) -> list[Clip]:
    """Both views of a calibrated pair with a triangulated reference of the joints `judged`."""
    reference = np.load(folder / "reference.npz")
    names = [str(n) for n in reference["joint_names"]]  # LShoulder and so on
    wanted = [short(n) for n in LIMB_JOINTS]
    at = [names.index(n) if n in names else 0 for n in wanted]  # 0: a joint that is not judged
    known = reference["reliable"][:, at].astype(bool) & np.isin(LIMB_JOINTS, judged)
    clips = []
    for v in (0, 1):
        R, t = reference["R"][v], reference["t"][v]
        camera = Camera(reference["K"][v], 0, 0, reference["dist"][v] if "dist" in reference else None)
        limbs = reference["joints3d"][:, at] @ R.T + t
        clips.append(
            Clip(f"view {v}", folder / pattern.format(v + 1), camera, limbs, known & np.isfinite(limbs).all(-1))
        )
    return clips


def rendered(video: Path) -> Clip:
    """A clip with its truth beside it."""
    truth = load_humans(video.with_suffix(".npz"))
    limbs = truth.joints[:, SMPL_LIMBS]
    return Clip(video.stem, video, Camera(truth.K, 0, 0), limbs, np.ones(limbs.shape[:2], bool))


def seen(pipeline: Pipeline, clip: Clip) -> Seen:
    """Track the video; the person is whose landmarks are nearest to the truth in the image."""
    pipeline.restart()
    score, pixels, errors, signs = [], [], [], []
    frames = 0
    for frame in open_source(str(clip.video), clip.camera):
        tracks = pipeline.tracker.step(frame)
        if frame.index >= len(clip.limbs) or clip.known[frame.index].sum() < _LEAST:
            continue
        frames += 1
        known, true = clip.known[frame.index], clip.limbs[frame.index]
        flat = projected(true[known], frame.camera)
        longer = float(np.ptp(flat, axis=0).max())
        off = [
            float(np.linalg.norm(t.keypoints.keypoints_2d[BLAZEPOSE_LIMBS, :2][known] - flat, axis=-1).mean()) / longer
            for t in tracks
        ]
        if not off or min(off) > _FAR:
            continue
        keypoints = tracks[int(np.argmin(off))].keypoints
        limbs = keypoints.keypoints_3d[BLAZEPOSE_LIMBS]
        score.append(keypoints.score)
        pixels.append(min(off))
        errors.append(float(procrustes_errors(limbs[known][None], true[known][None]).mean()))
        signs.append(depth_signs(limbs, true, known))
    return Seen(frames, *(np.array(x) for x in (score, pixels, errors)), np.concatenate([*signs, np.zeros(0, bool)]))


def projected(points: Floats, camera: Camera) -> Floats:
    """Pixels [N,2] of points [N,3] m, with the lens distortion."""
    return distort_points(project(points, camera.K), camera)


def depth_signs(found: Floats, true: Floats, known: Bools | None = None) -> Bools:
    """Of the limb segments of `true` [12,3] that leave the image plane by more than 17 degrees, joints all `known`
    [12]: whether `found` [12,3] leans the same way."""
    right = []
    for a, b in SEGMENTS.values():
        bone = true[b] - true[a]
        if known is not None and not (known[a] and known[b]):
            continue
        if abs(bone[2]) > np.sin(np.radians(_PLANE_DEG)) * np.linalg.norm(bone):
            right.append((found[b] - found[a])[2] * bone[2] > 0)
    return np.array(right, bool)


def together(rows: list[Seen]) -> Seen:
    """All frames of several clips."""
    return Seen(
        sum(r.frames for r in rows),
        *(np.concatenate([getattr(r, name) for r in rows]) for name in ("score", "pixels", "error_mm", "signs")),
    )


def report(name: str, row: Seen) -> None:
    """One line: means; of PA-MPJPE mean / median."""
    found = f"{len(row.score)}/{row.frames}"
    if not len(row.score):
        print(f"{name:<28} {found:>9}", flush=True)
        return
    error = f"{row.error_mm.mean():.1f} / {np.median(row.error_mm):.1f}"
    sign = f"{100 * row.signs.mean():.1f}" if len(row.signs) else "-"
    print(
        f"{name:<28} {found:>9} {row.score.mean():6.3f} {100 * row.pixels.mean():6.2f} {error:>14} {sign:>13}"
        f" {len(row.signs):>9}",
        flush=True,
    )


if __name__ == "__main__":
    main()
