"""Cameras fused live: every view alone and the fused people against what is true, in the common frame.

`python benchmarks/fusion.py ../shared/data [--every N]`. Each view goes through a pipeline with the live settings, its
people through the message, and what both said of a moment through the core of the node `fusion`.

First two real clips of two calibrated views: a man on a beam (12 limb joints; every Nth frame: 4 is 15 Hz) and the arms
of a seated man; the reliable joints in frames with five of six of them, with both views, and with one that ends
halfway. Then two rendered people who cross before two cameras, the second camera half a period late: who is who in
every moment, and how far each is from the truth.
"""

import argparse
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from reference_names import short
from std_msgs.msg import Header

from hmr_ros.body.axes import moved
from hmr_ros.body.joints import LIMB_JOINTS, SMPL, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline
from hmr_ros.fusion.fusion import CameraView, Fusion
from hmr_ros.fusion.matching import Moment, StampMatcher
from hmr_ros.fusion.settings import FusionConfig
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.covariance import mahalanobis_squared, unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.io.video import open_source
from hmr_ros.perception.pelvis import PelvisMemory
from hmr_ros.ros.convert import humans_from_msg, humans_to_msg
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import Placed, placed_in
from hmr_ros.synth.scene import View, background, clothes, look_at
from hmr_ros.types import Camera, Floats, Frame, Human, ScaleSource
from hmr_ros.view.raster import draw_mesh

CHI2_95 = 7.815  # three degrees of freedom
FPS, MOMENTS, STRIDE = 15.0, 90, 20  # of the crossing; frames of one stride of the walk
SPEED, APART = 0.6, 0.5  # m/s, m between their ways
Said = list[tuple[int, list[Human]]]  # stamp ns, people; one entry a frame


def main() -> None:
    """Print errors in millimetres."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with balance/ and seated/, two calibrated views each")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth frame (60 Hz) of balance")
    args = parser.parse_args()
    limbs, arms = list(LIMB_JOINTS), list(LIMB_JOINTS[6:])
    two_views("balance", args.data / "balance", ["cam01.mp4", "cam02.mp4"], (1080, 1920), limbs, args.every)
    two_views("seated", args.data / "seated", ["cam_1.mp4", "cam_2.mp4"], (1280, 720), arms, 1)
    crossing()


def follow(frames: list[Frame]) -> Said:
    """What the node `hmr` publishes of these frames, one after the other, as a reader of the topic gets it."""
    pipeline, memory, said = build_pipeline(with_values(HmrConfig(), {"threads": 1})), PelvisMemory(), []
    for frame in frames:
        result = pipeline.step(frame)
        assert result is not None
        people = memory(frame.stamp_ns, result.humans, frame.camera)
        pipeline.search(frame)
        header = Header()
        header.stamp.sec, header.stamp.nanosec = divmod(frame.stamp_ns, 10**9)
        said.append((frame.stamp_ns, humans_from_msg(humans_to_msg(people, header), frame.index)))
    return said


def fuse(views: list[Said], poses: list[Rigid]) -> Said:
    """The answers of the node `fusion`; messages come as they are stamped."""
    settings, fusion, answers = FusionConfig(), Fusion(load_body(None)), []
    matcher: StampMatcher[list[Human]] = StampMatcher(["0", "1"], settings.tolerance_s, settings.wait_s)

    def answer(moment: Moment[list[Human]]) -> tuple[int, list[Human]]:
        said = {c: CameraView(at, people, poses[int(c)]) for c, (at, people) in moment.said.items()}
        return moment.stamp_ns, fusion(moment.stamp_ns, said)

    came = sorted((stamp, v, humans) for v, said in enumerate(views) for stamp, humans in said)
    for stamp, v, humans in came:
        moments = matcher.ready(stamp * 1e-9)
        matcher.add(str(v), stamp, humans, stamp * 1e-9)
        for moment in [*moments, *matcher.ready(stamp * 1e-9)]:
            answers.append(answer(moment))
    return answers + [answer(moment) for moment in matcher.ready(np.inf)]


def two_views(
    title: str, folder: Path, videos: list[str], size: tuple[int, int], joints: list[str], every: int
) -> None:
    """One man, two real views with a reference of `joints`, which counts where all but one sixth are reliable."""
    reference = np.load(folder / "reference.npz")
    names = [str(n) for n in reference["joint_names"]]
    index = [names.index(short(n)) for n in joints]
    mine = [SMPL[n] for n in joints]
    truth, reliable = reference["joints3d"][:, index], reference["reliable"][:, index].astype(bool)
    poses = [Rigid(reference["R"][v], reference["t"][v]).inverse for v in (0, 1)]
    views, stamps = [], []
    for v in (0, 1):
        camera = Camera(reference["K"][v], *size, reference["dist"][v] if "dist" in reference else None)
        frames = [f for f in open_source(str(folder / videos[v]), camera) if f.index % every == 0]
        stamps = [f.stamp_ns for f in frames]
        views.append(follow(frames))
    frame_of = {stamp: k * every for k, stamp in enumerate(stamps)}
    half = stamps[len(stamps) // 2]

    def report(name: str, said: Said, since_ns: int = 0) -> None:
        errors = []
        for stamp, people in said:
            good = reliable[frame_of[stamp]]
            if stamp < since_ns or not people or good.sum() < len(joints) * 5 // 6:
                continue
            true = truth[frame_of[stamp]]
            found = min((h.joints[mine] for h in people), key=lambda j: np.linalg.norm(j - true, axis=1)[good].mean())
            errors.append(_errors(found[good], true[good]))
        _print(name, errors)

    print(f"{title}, {1e9 / np.median(np.diff(stamps)):.3g} Hz")
    alone = [[(stamp, [moved(h, poses[v]) for h in people]) for stamp, people in views[v]] for v in (0, 1)]
    for v in (0, 1):
        report(f"view {v} alone", alone[v])
    fused = fuse(views, poses)
    report("fused", fused)
    ids = Counter(h.track_id for _, people in fused for h in people)
    count = sum(h.scale is ScaleSource.CAMERAS for _, people in fused for h in people)
    print(f"    of {len(fused)} moments {count} people measured by both, ids {{id: answers}} {dict(ids)}")
    for v in (0, 1):
        ends = [s for s in views[1 - v] if s[0] < half]
        report(f"second half: view {v} alone", alone[v], half)
        fused = fuse([views[0], ends] if v == 0 else [ends, views[1]], poses)
        report("  the other ended, fused", fused, half)


def crossing() -> None:
    """Two people walk past each other before two cameras, of which each sees one cover the other."""
    scene = [
        look_at(guess_camera(640, 480), np.array(eye), np.array([0.0, 0.9, 0.0]))
        for eye in ([0.3, 1.5, 4.6], [3.6, 1.6, 3.2])
    ]
    late_ns = [0, round(0.5e9 / FPS)]
    views, poses = [], []
    for v, view in enumerate(scene):
        camera = replace(view.camera, guessed=False)
        frames = [
            Frame(k, round(k * 1e9 / FPS) + late_ns[v], image, camera)
            for k, image in enumerate(_images(view, v, late_ns[v] * 1e-9))
        ]
        views.append(follow(frames))
        poses.append(Rigid(view.R_camera_world, view.t_camera_world).inverse)
    print(f"two people cross, two cameras at {FPS:g} Hz, the second half a period late")
    for v in (0, 1):
        said = [(stamp, [moved(h, poses[v]) for h in people]) for stamp, people in views[v]]
        _report_ids(f"camera {v} alone", said)
    _report_ids("fused", fuse(views, poses))


def _truths(seconds: float, view: View | None = None) -> list[Placed]:
    """Both people, in the world or as a camera sees them."""
    body, world = load_body(None), View(guess_camera(640, 480), np.eye(3), np.zeros(3))
    walk = demo_motion(FPS).poses[STRIDE : 2 * STRIDE]
    out = []
    for person, way in enumerate((1.0, -1.0)):
        pose = walk[round(seconds * FPS + 7 * person) % STRIDE].copy()
        pose[:3] = [0.0, way * np.pi / 2, 0.0]
        x = way * (SPEED * seconds - 0.5 * SPEED * MOMENTS / FPS)
        trans = np.array([x, 0.9, 0.5 * way * APART])
        out.append(placed_in(view or world, body, pose, trans, np.zeros(10)))
    return out


def _images(view: View, seed: int, late_s: float) -> list:
    body, room = load_body(None), background(view.camera.width, view.camera.height, seed)
    colors = [clothes(body, 3 + person) for person in (0, 1)]
    images = []
    for k in range(MOMENTS):
        image = room.copy()
        people = sorted(enumerate(_truths(k / FPS + late_s, view)), key=lambda p: -p[1].joints[0, 2])  # far ones first
        for person, truth in people:
            draw_mesh(image, truth.vertices, body.faces, view.camera.K, colors[person])
        images.append(image)
    return images


def _report_ids(name: str, said: Said) -> None:
    """Each answered person belongs to the true one who is nearest; ids may not change between those."""
    errors, owners, answers, doubles, inside = [], {}, [0, 0], 0, []
    for stamp, people in said:
        true = [t.joints for t in _truths(stamp * 1e-9)]
        taken = []
        for human in people:
            apart = [np.linalg.norm(human.joints[:3].mean(0) - t[:3].mean(0)) for t in true]
            who = int(np.argmin(apart))
            owners.setdefault(human.track_id, []).append(who)
            answers[who] += 1
            doubles += who in taken
            taken.append(who)
            errors.append(_errors(human.joints[SMPL_LIMBS], true[who][SMPL_LIMBS]))
            inside.append(_inside(human, true[who]))
    _print(name, errors)
    joints, hips = np.mean(inside, 0)
    print(f"    in the 95 % ellipsoids: limb joints about the pelvis {joints:.0%}, hips in the common frame {hips:.0%}")
    mixed = {i: sum(a != b for a, b in pairwise(w)) for i, w in owners.items()}
    print(
        f"    ids {{id: answers}} { ({i: len(w) for i, w in owners.items()}) }, ids that changed owner {mixed};"
        f" of {len(said)} moments {answers} answers, {doubles} twice for one person"
    )


def _inside(human: Human, true: Floats) -> tuple[float, float]:
    """Share of the limb joints in their 95 % ellipsoids, and whether the hips are in theirs."""
    relative = (human.joints - human.joints[0] - true + true[0])[SMPL_LIMBS]
    joints = mahalanobis_squared(relative, unpacked(human.joint_covariance)[SMPL_LIMBS]) < CHI2_95
    assert human.pelvis is not None
    hips = mahalanobis_squared(human.pelvis.position - true[1:3].mean(0), human.pelvis.pose_covariance[:3, :3])
    return float(joints.mean()), float(hips < CHI2_95)


def _errors(joints: Floats, true: Floats) -> tuple[float, float]:
    """PA-MPJPE and MPJPE in the common frame, mm."""
    return float(procrustes_errors(joints[None], true[None]).mean()), 1e3 * float(
        np.linalg.norm(joints - true, axis=1).mean()
    )


def _print(name: str, errors: list[tuple[float, float]]) -> None:
    pa, absolute = np.array(errors).T
    print(
        f"  {name:<28} PA-MPJPE mean {pa.mean():6.1f}  median {np.median(pa):6.1f} mm"
        f"   MPJPE mean {absolute.mean():6.1f}  median {np.median(absolute):6.1f} mm   {len(pa)} answers"
    )


if __name__ == "__main__":
    main()
