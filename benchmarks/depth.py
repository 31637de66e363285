"""What a depth image gives: rendered clips with and without it, as live.

`python benchmarks/depth.py CLIP...`; a CLIP.mp4 is one of benchmarks/clips.py, with its truth CLIP.npz and its motion
beside it. Depth is that of `hmr render --depth`. Columns, means over the clips: PA-MPJPE (12 limb joints), MPJPE (24
joints) and PVE after the pelvises coincide, mm; median error of the pelvis in absolute position and of its depth, mm;
root mean square error over `joint_sigma`, share of joints in their 95 % ellipsoids; ms a person of the calibration. The
last lines are the paper's own measure:
PVE of the calibrated mesh before SMPL is refitted to it, with depth joints and with true ones.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from refinement import live, refine_network

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import NUM_JOINTS, BodyModel
from hmr_ros.body.points import points_of
from hmr_ros.config import HmdiffConfig, HmrConfig
from hmr_ros.evaluate.metrics import joint_errors, procrustes_errors
from hmr_ros.evaluate.probabilistic import coverage
from hmr_ros.evidence.record import Evidence, depths_of
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import HumansTable, load_humans, load_motion
from hmr_ros.io.video import open_source
from hmr_ros.methods.contract import Calibration, Estimate, Observation
from hmr_ros.methods.hmdiff.source import HmdiffPosture
from hmr_ros.methods.pchmr.blend import blend_of
from hmr_ros.methods.pchmr.calibration import all_targets, bone_motion, calibrated
from hmr_ros.methods.pchmr.lifter import PostureLifter
from hmr_ros.methods.pchmr.stages import FitCalibration, ParallelCalibration, SerialCalibration
from hmr_ros.methods.pchmr.targets import DepthTargets
from hmr_ros.methods.posturehmr.recovery import PostureRecovery
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.methods.scorehmr.streaming import ScoreRefinement
from hmr_ros.synth.depth import floor_height, measured_depth, true_depth
from hmr_ros.synth.scene import View
from hmr_ros.types import Camera, Floats, Frame, Track

_BLOCK_PX = 24  # what is missing is missing in blocks
_MESH_STEP = 8  # whole meshes are slow; every eighth frame
Refine = Callable[[list[Observation]], list[Estimate]]
_WRONG_FOCAL = 0.75  # share of the true focal length that an uncalibrated camera is taken to have


@dataclass(frozen=True)
class Seen:
    """One person in one frame, and the truth."""

    person: Observation
    joints: Floats  # [24,3] m
    vertices: Floats  # [V,3] m


def main() -> None:
    """Print one line a way to go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--rows", nargs="*", default=[""], help="only rows whose name holds one of these words")
    args = parser.parse_args()
    body, network, prior = load_body(None), refine_network(), load_prior()
    closed = blend_of(sparse_points(body, coarse_of(body)))
    lifter = PostureLifter(PostureNetwork(choose_engine(HmrConfig(threads=1)).engine))
    full, holes, wrong = [], [], []
    for clip in args.clips:
        rows = list(seen_with_depth(clip, body))
        full.append([s for s, _ in rows])
        holes.append([s for _, s in rows])
        wrong.append(list(seen_without(clip, body, _WRONG_FOCAL)))
    ways = {
        "none": (full, None), "none, wrong focal length": (wrong, None),
        "fit": (full, lambda: FitCalibration(body)), "parallel": (full, lambda: ParallelCalibration(body)),
        "parallel, rigid": (full, lambda: ParallelCalibration(body, rigid=True)),
        "parallel, closed-form blend": (full, lambda: ParallelCalibration(body, blend=closed)),
        "serial": (full, lambda: SerialCalibration(body, lifter)),
        "fit, 30 % missing": (holes, lambda: FitCalibration(body)),
        "parallel, 30 % missing": (holes, lambda: ParallelCalibration(body)),
    }  # fmt: skip
    for name, (clips, make) in ways.items():
        if not any(word in name for word in args.rows):
            continue
        for label, refine in (("", _as_it_is),
                              (", temporal", lambda people: live(people, ScoreRefinement(network, body, Guidance()))),
                              (", --quality", lambda people: refine_tracks(people, prior, body))):  # fmt: skip
            report(f"{name}{label}", [measured(rows, make() if make else None, body, refine) for rows in clips])
    own = HmdiffConfig()
    for label, clips, config, calibrate in (
        ("hmdiff, no depth", full, replace(own, align=False), False), ("hmdiff, depth in U", full, own, False),
        ("hmdiff, depth in U, 30 % missing", holes, own, False), ("hmdiff, depth in U, then fit", full, own, True),
    ):  # fmt: skip
        if any(word in label for word in args.rows):
            figures = [measured(rows, HmdiffInstead(body, config, calibrate), body, _as_it_is) for rows in clips]
            report(label, figures)
    for label, true in (("depth joints", False), ("true joints", True)):
        recovered, rigid, calibrated_ = np.mean([mesh_errors(rows[::_MESH_STEP], body, true) for rows in full], axis=0)
        print(f"mesh, {label}: recovered {recovered:.1f}, rigid {rigid:.1f}, non-rigid {calibrated_:.1f}", flush=True)


class HmdiffInstead:
    """`recover: hmdiff` on the same evidence, as something that comes after another recovery."""

    def __init__(self, body: BodyModel, config: HmdiffConfig, calibrate: bool) -> None:
        engine = choose_engine(HmrConfig(threads=1), "hmdiff").engine
        self._source = HmdiffPosture(config, body, engine, None)  # type: ignore[arg-type]
        self._recovery, self._fit = PostureRecovery(body), FitCalibration(body) if calibrate else None

    def __call__(
        self, frame: int, tracks: list[Track], evidence: list[Evidence], estimates: list[Estimate]
    ) -> list[Estimate]:
        """See `Calibration`."""
        del estimates
        seen = [replace(e, posture=self._source.posture([e], [])) for e in evidence]
        found = self._recovery(Frame(frame, 0, np.zeros((1, 1, 3), np.uint8), Camera(np.eye(3), 1, 1)), tracks, seen)
        return self._fit(frame, tracks, seen, found) if self._fit else found

    def reset(self) -> None:
        """Forget all shapes."""
        self._recovery.reset()


def seen_with_depth(clip: Path, body: BodyModel) -> Iterator[tuple[Seen, Seen]]:
    """The longest track with its depth evidence, and the same where 30 % of the depth image is missing."""
    truth, motion = load_humans(clip.with_suffix(".npz")), load_motion(clip.with_name(f"motion_{clip.stem[5:]}.npz"))
    camera = Camera(truth.K, 640, 480)
    view, floor = _view(truth, motion.poses[0], motion.trans[0], camera, body), floor_height(motion, body)
    rng = np.random.default_rng(0)
    for seen in seen_without(clip, body):
        depth = measured_depth(true_depth([seen.vertices], body, view, floor), truth.K, rng)
        blocks = rng.random((camera.height // _BLOCK_PX + 1, camera.width // _BLOCK_PX + 1)) < 0.3
        gone = np.kron(blocks, np.ones((_BLOCK_PX, _BLOCK_PX), bool))[: camera.height, : camera.width]
        yield _with_depth(seen, depth), _with_depth(seen, np.where(gone, np.nan, depth))


def seen_without(clip: Path, body: BodyModel, focal: float = 1.0) -> Iterator[Seen]:
    """The longest track of the clip before refinement; `focal`: the assumed focal length over the true one."""
    truth = load_humans(clip.with_suffix(".npz"))
    K = truth.K * np.array([[focal, 1, 1], [1, focal, 1], [1, 1, 1]])
    pipeline = build_pipeline(offline(HmrConfig(refine="none", calibrate="none"), as_live=True))
    pipeline.stages.evidence.heat = True  # HmdiffInstead reads it
    people = [p for frame in open_source(str(clip), Camera(K, 0, 0)) for p in pipeline.observe(frame)]
    ids = [p.track.track_id for p in people]
    for person in people:
        if person.track.track_id == max(set(ids), key=ids.count):
            i = int(np.flatnonzero(truth.frame == person.frame)[0])
            pose = (truth.global_orient[i], truth.body_pose[i], truth.betas[i], truth.transl[i])
            yield Seen(person, truth.joints[i], body.vertices(*pose))


def _view(truth: HumansTable, pose: Floats, trans: Floats, camera: Camera, body: BodyModel) -> View:
    """Where the camera of a rendered clip stood, from the first frame's truth and motion."""
    R = matrix_from_axis_angle(truth.global_orient[0]) @ matrix_from_axis_angle(pose[:3]).T
    pelvis = body.rest_joints(truth.betas[0])[0]
    return View(camera, R, truth.transl[0] + pelvis - R @ (pelvis + trans))


def _with_depth(seen: Seen, depth: Floats) -> Seen:
    p = seen.person
    frame = Frame(p.frame, p.stamp_ns, np.zeros((1, 1, 3), np.uint8), p.camera, depth=depth)
    evidence = replace(p.evidence, depth=depths_of(frame, p.track.keypoints.keypoints_2d, p.evidence.scale))
    return replace(seen, person=replace(p, evidence=evidence))


def _as_it_is(people: list[Observation]) -> list[Estimate]:
    return [p.estimate for p in people]


def measured(rows: list[Seen], calibration: Calibration | None, body: BodyModel, refine: Refine) -> Floats:
    """[8] the columns for one clip."""
    people, seconds = [], []
    for seen in rows:
        person = seen.person
        start = time.perf_counter()
        if calibration:
            moved = calibration(person.frame, [person.track], [person.evidence], [person.estimate])[0]
            person = replace(person, estimate=moved)
        seconds.append(time.perf_counter() - start)
        people.append(person)
    table = np.array([errors(answer, seen, body) for answer, seen in zip(refine(people), rows, strict=True)])
    ratio = np.sqrt(table[:, 5].mean() / table[:, 6].mean())
    inside = 100 * table[:, 7].mean()
    return np.array([*table[:, :3].mean(0), *np.median(table[:, 3:5], axis=0), ratio, inside, 1e3 * np.median(seconds)])


def mesh_errors(rows: list[Seen], body: BodyModel, true: bool) -> Floats:
    """[3] PVE mm of the recovered mesh, of it moved rigidly bone by bone, and with the non-rigid rest; `true`: towards
    the true limb joints."""
    points = points_of(body, np.arange(NUM_JOINTS), np.arange(len(body.v_template)))
    blend, find = blend_of(points), DepthTargets(body)
    figures = []
    for seen in rows:
        estimate = seen.person.estimate
        targets = all_targets(find([seen.person.evidence], [estimate]))
        if true:
            targets[:, SMPL_LIMBS] = seen.joints[SMPL_LIMBS]
        motion = bone_motion(estimate.joints[None], targets)
        recovered = (points.posed(estimate.rotations, estimate.betas) + estimate.transl)[None]
        meshes = [recovered, calibrated(recovered, motion, blend, rigid=True), calibrated(recovered, motion, blend)]
        away = np.array([m[0, NUM_JOINTS:] - m[0, 0] for m in meshes]) - (seen.vertices - seen.joints[0])
        figures.append(1e3 * np.linalg.norm(away, axis=-1).mean(-1))
    return np.asarray(np.mean(figures, axis=0))


def errors(answer: Estimate, seen: Seen, body: BodyModel) -> list[float]:
    """PA-MPJPE, MPJPE, PVE, pelvis and its depth in mm; mean square of errors and of `joint_sigma`, m^2; share of
    joints in their 95 % ellipsoids."""
    angles = axis_angle_from_matrix(answer.rotations)
    vertices = body.vertices(angles[0], angles[1:].reshape(-1), answer.betas, answer.transl)
    away = answer.joints[0] - seen.joints[0]
    surface = np.linalg.norm(vertices - seen.vertices - away, axis=1).mean()
    relative = answer.joints[1:] - seen.joints[1:] - away
    return [
        procrustes_errors(answer.joints[None, SMPL_LIMBS], seen.joints[None, SMPL_LIMBS]).mean(),
        joint_errors(answer.joints[None], seen.joints[None]).mean(),
        1e3 * surface, 1e3 * np.linalg.norm(away), 1e3 * abs(away[2]),
        (relative**2).mean(), (answer.joint_sigma[1:] ** 2).mean(),
        coverage(relative, answer.joint_covariance[1:], 0.95),
    ]  # fmt: skip


def report(label: str, figures: list[Floats]) -> None:
    """One line: means over the clips, then the PA-MPJPE of each."""
    pa, mpjpe, pve, pelvis, deep, ratio, inside, ms = np.mean(figures, axis=0).tolist()
    print(
        f"{label:<34} PA-MPJPE {pa:5.1f}  MPJPE {mpjpe:5.1f}  PVE {pve:5.1f}  pelvis {pelvis:4.0f} (depth {deep:4.0f})"
        f"  error/sigma {ratio:.2f}, {inside:.0f} % in 95 %  {ms:5.2f} ms  "
        f"[{' '.join(f'{f[0]:.0f}' for f in figures)}]",
        flush=True,
    )


if __name__ == "__main__":
    main()
