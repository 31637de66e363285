"""Is sigma what it says? Predicted against true errors of moving rendered people: networks, recovery and refinement.

`python benchmarks/uncertainty.py PAIRS [--recover kinematic]`; PAIRS comes from `hmr train pairs --frames 12 --plain`
on motion of people that no network was trained on. Ratio = root mean square of (error / sigma) an axis, 1 where sigma
is one standard deviation; 68 % and 95 % = share of joints inside these ellipsoids of their covariance; rank =
Spearman's correlation of sigma with the joint's error; stretch = errors along the ray over those across it; factor = of
sigma, for the 95 % ellipsoid to hold 95 %. Joints relative to the pelvis, camera axes. Of the networks' points 68 % and
95 % count axes within 1 and 1.96 sigma.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2, spearmanr

from hmr_ros.body.coarse import JOINT_IDS, coarse_of
from hmr_ros.body.joints import JOINT_GROUPS, MEASURED_BONES_BLAZEPOSE
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics
from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.probabilistic import coverage
from hmr_ros.factory import build_stages
from hmr_ros.geometry.covariance import mahalanobis_squared
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.contract import Estimate, Observation
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.methods.scorehmr.uncertainty import without_doubt
from hmr_ros.train.data.pairs import PairSet, limbs_of, load_pairs
from hmr_ros.types import Camera, Floats, Frame, Keypoints, Roi, Track, TrackingState

_SEEN = 0.5  # score below which the tracker would have lost the person
_LATER = 6  # frames of a sequence after which windows are filled as live


@dataclass
class Errors:
    """Errors and sigmas of many people, N rows of 24 joints."""

    error: list[Floats]  # [24,3] m
    sigma: list[Floats]  # [24] m
    at: list[Floats]  # [24,3] m, where the joints are taken to be
    covariance: list[Floats]  # [24,3,3] m^2

    def add(self, error: Floats, sigma: Floats, at: Floats, covariance: Floats | None = None) -> None:
        """One person in one frame."""
        self.error.append(error)
        self.sigma.append(sigma)
        self.at.append(at)
        if covariance is not None:
            self.covariance.append(covariance)


def main() -> None:
    """Tables for the networks' points, the recovered and the refined joints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--recover", choices=tuple(RECOVERIES), default=HmrConfig().recover)
    args = parser.parse_args()
    found = measured(load_pairs(args.pairs), args.recover)
    for name, points in (("2D mesh", found["points_2d"]), ("decoder", found["points_3d"])):
        e, s = np.array(points.error), np.array(points.sigma)
        print(f"{name:<12} ratio {ratio(e, s):.2f}, 68 % {inside(e, s, 1):.1f}, 95 % {inside(e, s, 1.96):.1f}")
    for name in ("recovered", "refined"):
        report(name, found[name])


def report(name: str, errors: Errors) -> None:
    """One table, by joint group."""
    error, sigma = np.array(errors.error), np.array(errors.sigma)
    columns = "".join(f"{c:>7}" for c in ("mm", "ratio", "68 %", "95 %", "rank", "stretch", "factor"))
    print(f"\n{name}: {len(error)} people\n{'joints':<12}{columns}")
    for group, joints in JOINT_GROUPS.items():
        rows = joints[joints > 0]  # the pelvis is the origin
        e, s = error[:, rows], sigma[:, rows]
        away = np.linalg.norm(e, axis=-1)
        rank = spearmanr(s.ravel(), away.ravel()).statistic
        C = np.array(errors.covariance)[:, rows]
        shares = f"{100 * coverage(e, C, 0.68):7.1f}{100 * coverage(e, C, 0.95):7.1f}"
        factor = np.sqrt(np.quantile(mahalanobis_squared(e, C), 0.95) / chi2.ppf(0.95, 3))
        long = stretch(e / s[..., None], np.array(errors.at)[:, rows])
        print(f"{group:<12}{1e3 * away.mean():7.1f}{ratio(e, s):7.2f}{shares}{rank:7.2f}{long:7.2f}{factor:7.2f}")


def stretch(error: Floats, at: Floats) -> float:
    """How many times larger errors [...,3] are along the rays to `at` [...,3] than across them, root mean squares."""
    ray = at / np.linalg.norm(at, axis=-1, keepdims=True)
    along = np.square((error * ray).sum(-1))
    return float(np.sqrt(along.mean() / ((np.square(error).sum(-1) - along).mean() / 2)))


def ratio(error: Floats, sigma: Floats) -> float:
    """Root mean square of error [...,C] over sigma [...]."""
    return float(np.sqrt(np.mean((error / sigma[..., None]) ** 2)))


def inside(error: Floats, sigma: Floats, width: float) -> float:
    """Share in % of axes within so many sigmas."""
    return float(100 * np.mean(np.abs(error) <= width * sigma[..., None]))


@dataclass(frozen=True)
class Refined:
    """One person in one frame."""

    person: Observation
    answer: Estimate
    true: Floats  # [24,3] m
    points: Floats  # [81,3] m, true


def measured(pairs: PairSet, recover: str) -> dict[str, Errors]:
    """Every sequence of `pairs` in which nobody is lost, through evidence, recovery and live refinement."""
    found = {name: Errors([], [], [], []) for name in ("points_2d", "points_3d", "recovered", "refined")}
    for row in refined_people(pairs, recover):
        _points(found, row.person, row.points)
        for name, estimate in (("recovered", row.person.estimate), ("refined", row.answer)):
            moved = estimate.joints - estimate.joints[0] - (row.true - row.true[0])
            found[name].add(moved, estimate.joint_sigma, estimate.joints, estimate.joint_covariance)
    return found


def refined_people(pairs: PairSet, recover: str, in_doubt: bool = True) -> Iterator[Refined]:
    """Everybody in every frame of these sequences that comes late enough for a full window; `in_doubt`: with the
    covariance that is answered, else that before `doubt`."""
    body = load_body(None)
    mesh = coarse_of(body)
    stages = build_stages(HmrConfig(recover=recover))
    refinement = stages.refinement
    assert refinement is not None
    starts = np.flatnonzero((pairs.time == 0) & (pairs.sequence >= 0))
    for number, (start, end) in enumerate(zip(starts, np.r_[starts[1:], len(pairs)], strict=True)):
        if (pairs.score[start:end] < _SEEN).any():
            continue
        refinement.reset()
        for row in range(start, end):
            rotations = matrix_from_axis_angle(pairs.pose[row].reshape(24, 3).astype(float))
            betas = pairs.betas[row].astype(float)
            true = forward_kinematics(rotations, body.rest_joints(betas))[1] + pairs.transl[row]
            person = _observed(pairs, row, number, stages)
            answer = refinement.observe(person.stamp_ns, [person])()[0]
            if row - start < _LATER:
                continue
            if not in_doubt:
                answer = without_doubt(person.evidence, person.estimate, answer)
            yield Refined(person, answer, true, mesh.points(body).posed(rotations, betas)[:81] + pairs.transl[row])


def _observed(pairs: PairSet, row: int, number: int, stages) -> Observation:
    """The person of a pair as the tracker would hand it on."""
    keypoints, K = pairs.keypoints_2d[row].astype(float), pairs.K[row].astype(float)
    size = float(np.ptp(keypoints[:, :2], axis=0).max())
    roi = Roi(keypoints[[23, 24], :2].mean(0), size, 0.0)
    world, limbs = pairs.keypoints_3d[row].astype(float), limbs_of(pairs, row)
    seen = Keypoints(keypoints, world, float(pairs.score[row]), roi, limbs=limbs)
    box = np.r_[keypoints[:, :2].min(0), keypoints[:, :2].max(0)]
    ends = seen.keypoints_3d[MEASURED_BONES_BLAZEPOSE]
    bones = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    track = Track(number, TrackingState.TRACKED, seen, box, bones)
    camera = Camera(K, 1000, 1000)
    frame = Frame(row, 10**9 + round(float(pairs.time[row]) * 1e9), np.zeros((2, 2, 3), np.uint8), camera)
    evidence = stages.evidence(frame, [track])
    estimate = stages.recovery(frame, [track], evidence)[0]
    return Observation(frame.index, frame.stamp_ns, camera, track, evidence[0], estimate)


def _points(found: dict[str, Errors], person: Observation, true: Floats) -> None:
    """What the networks say of the 81 points, in the axes of the aimed camera."""
    evidence, posture = person.evidence, person.evidence.posture
    assert posture is not None
    aimed = true @ evidence.R_camera_aimed
    plane = aimed[:, :2] / aimed[:, 2:] / evidence.scale
    found["points_2d"].add(posture.points_2d[0] - plane, posture.sigma_2d[0], posture.points_2d[0])
    pelvis = list(JOINT_IDS).index(0)
    found["points_3d"].add(posture.points[0] - (aimed - aimed[pelvis]), posture.sigma[0], posture.points[0])


if __name__ == "__main__":
    main()
