"""`calibrate: parallel`, `serial` and `fit`: recovered people moved to target joints.

Those of `parallel` and `fit` are measured in a depth image. Those of `serial` come from the recovered people
themselves, whose joints in the image are lifted once more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.coarse import NUM_SPARSE, SPARSE_LIMBS, coarse_of, sparse_points
from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.model import NUM_JOINTS, BodyModel
from hmr_ros.body.shape import TrackShapes
from hmr_ros.evidence.record import Evidence, keypoints_of, posture_of
from hmr_ros.geometry.covariance import mean_sigma
from hmr_ros.methods.contract import Calibration, Estimate, Parts, estimate_at
from hmr_ros.methods.pchmr.blend import Blend, trained_blend
from hmr_ros.methods.pchmr.calibration import all_targets, bone_motion, calibrated
from hmr_ros.methods.pchmr.lifter import Lifter, PostureLifter
from hmr_ros.methods.pchmr.targets import DepthTargets, Targets, calibrated_covariance
from hmr_ros.methods.posturehmr.recovery import estimates_of, evidence_2d
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.methods.uncertainty import carried
from hmr_ros.types import Floats, Track

_DISCOUNT_3D, _DISCOUNT_DEPTH = 2.0, 0.35  # of sigma in the fit
_ITERATIONS = 2
_SIGMA_POINT_M = 0.02  # of the calibrated points, in the refit


class FitCalibration:
    """The recovery's fit again, with the joints' depths as further observations. Remembers each track's shape."""

    needs_depth = True

    def __init__(self, body: BodyModel) -> None:
        """`body` is the open body, as for the recovery."""
        self._body = body
        self._fitter = PointFitter(sparse_points(body, coarse_of(body)))
        self._targets, self._shapes = DepthTargets(body), TrackShapes()

    def __call__(
        self, frame: int, tracks: list[Track], evidence: list[Evidence], estimates: list[Estimate]
    ) -> list[Estimate]:
        """See `Calibration`."""
        targets = self._targets(evidence, estimates)
        seen, posture = keypoints_of(evidence), posture_of(evidence)
        N = len(evidence)
        depths, sigma_depths = np.zeros((N, NUM_SPARSE)), np.full((N, NUM_SPARSE), np.inf)
        aimed = np.nan_to_num(targets.points) @ seen.R_camera_aimed  # rows: R^T p
        depths[:, SPARSE_LIMBS], sigma_depths[:, SPARSE_LIMBS] = aimed[..., 2], _DISCOUNT_DEPTH * targets.sigma
        start = np.array([e.rotations for e in estimates])
        start[:, 0] = np.swapaxes(seen.R_camera_aimed, 1, 2) @ start[:, 0]
        ids = [t.track_id for t in tracks]
        betas, sigma_betas = self._shapes.expected(ids)
        observed = Observed(
            posture.points, _DISCOUNT_3D * posture.sigma, *evidence_2d(seen, posture), betas, sigma_betas,
            depths, sigma_depths,
        )  # fmt: skip
        fitted = self._fitter(observed, _ITERATIONS, start=start)
        self._shapes.learn(ids, fitted.betas, frame)
        found = estimates_of(self._body, seen, fitted, np.ones((N, NUM_JOINTS)))
        return _with_targets(targets, found, estimates)

    def reset(self) -> None:
        """Forget all shapes."""
        self._shapes = TrackShapes()


class _BoneCalibration:
    """Moves bodies' bones to target joints, then refits SMPL to their points. Remembers each track's shape."""

    def __init__(self, body: BodyModel, rigid: bool = False, blend: Blend | None = None) -> None:
        """`body` is the open body; `rigid` leaves the non-rigid rest out; `blend` [81,24], where it is not the shipped
        one."""
        mesh = coarse_of(body)
        self._body, self._rigid = body, rigid
        self._points = sparse_points(body, mesh)
        self._fitter, self._blend = PointFitter(self._points), blend or trained_blend(body, mesh, NUM_SPARSE)
        self._shapes = TrackShapes()

    def moved(self, frame: int, tracks: list[Track], targets: Targets, estimates: list[Estimate]) -> list[Estimate]:
        """`estimates` with their bones on `targets` [N,12]."""
        motion = bone_motion(np.array([e.joints for e in estimates]), all_targets(targets))
        points = np.array([self._points.posed(e.rotations, e.betas) + e.transl for e in estimates])
        moved = calibrated(points, motion, self._blend, self._rigid)
        start = np.array([e.rotations for e in estimates])
        start[:, 0] = motion.rotation[:, 0] @ start[:, 0]
        ids = [t.track_id for t in tracks]
        betas, sigma_betas = self._shapes.expected(ids)
        N = len(moved)
        shape = (N, NUM_SPARSE)
        pelvis = moved[:, :1]
        fitted = self._fitter(
            Observed(moved - pelvis, np.full(shape, _SIGMA_POINT_M), np.zeros((*shape, 2)), np.full(shape, np.inf),
                     betas, sigma_betas),
            _ITERATIONS, start=start,
        )  # fmt: skip
        self._shapes.learn(ids, fitted.betas, frame)
        placed = pelvis[:, 0] + (moved - pelvis - fitted.points).mean(1)
        rows = zip(fitted.rotations, fitted.betas, placed, estimates, strict=True)
        return [estimate_at(self._body, R, b, at, e.joint_covariance) for R, b, at, e in rows]

    def reset(self) -> None:
        """Forget all shapes."""
        self._shapes = TrackShapes()


class ParallelCalibration:
    """Parallel PC-HMR: the recovered body's bones laid on joints that were measured beside the recovery."""

    needs_depth = True

    def __init__(self, body: BodyModel, rigid: bool = False, blend: Blend | None = None) -> None:
        """As in `_BoneCalibration`."""
        self._bones, self._targets = _BoneCalibration(body, rigid, blend), DepthTargets(body)

    def __call__(
        self, frame: int, tracks: list[Track], evidence: list[Evidence], estimates: list[Estimate]
    ) -> list[Estimate]:
        """See `Calibration`."""
        targets = self._targets(evidence, estimates)
        return _with_targets(targets, self._bones.moved(frame, tracks, targets, estimates), estimates)

    def reset(self) -> None:
        """Forget all shapes."""
        self._bones.reset()


class SerialCalibration:
    """Serial PC-HMR (Eq. 4-5): the recovered joints are projected, lifted by the posture networks, and the recovered
    body's bones laid on what comes out. Needs no depth image; where there is one, it says how far away people are."""

    needs_depth = False

    def __init__(self, body: BodyModel, lifter: Lifter) -> None:
        """`body` is the open body, `lifter` says where the limb joints are."""
        self._bones, self._lift, self._depth = _BoneCalibration(body), lifter, DepthTargets(body)

    def __call__(
        self, frame: int, tracks: list[Track], evidence: list[Evidence], estimates: list[Estimate]
    ) -> list[Estimate]:
        """See `Calibration`. The lifter has seen nothing that the recovery had not, so the covariance stays."""
        if not estimates:
            return []
        lifted, ranged = self._lift(evidence, estimates), np.zeros(len(estimates), bool)
        if any(e.depth for e in evidence):
            off = self._depth(evidence, estimates).points - lifted
            lifted, ranged = lifted + _shared_offset(off), np.isfinite(off).any((1, 2))
        targets = Targets(lifted, np.zeros(lifted.shape[:2]))
        found = self._bones.moved(frame, tracks, targets, estimates)
        return [
            replace(f, samples=carried(e.samples, e.rotations, f.rotations), ranged=bool(r))
            for f, e, r in zip(found, estimates, ranged, strict=True)
        ]

    def reset(self) -> None:
        """Forget all shapes."""
        self._bones.reset()


def _shared_offset(off: Floats) -> Floats:
    """[N,1,3] m the median of the differences [N,12,3] m that are known; none where there are none."""
    known = np.isfinite(off).any((1, 2), keepdims=True)
    filled = np.where(known, off, 0.0)
    return np.asarray(np.nanmedian(filled, axis=1, keepdims=True))


def _with_targets(targets: Targets, found: list[Estimate], recovered: list[Estimate]) -> list[Estimate]:
    """`found` for those who have targets, with what recovery and targets together say of their uncertainty; `recovered`
    for the others."""
    answer = []
    for k, (moved, before) in enumerate(zip(found, recovered, strict=True)):
        if not np.isfinite(targets.sigma[k]).any():
            answer.append(before)
            continue
        covariance = calibrated_covariance(before.joint_covariance, targets.sigma[k])
        ratio = mean_sigma(covariance) / before.joint_sigma
        samples = carried(before.samples, before.rotations, moved.rotations, ratio)
        depths = np.stack([np.nan_to_num(targets.points[k, :, 2]), targets.sigma[k]], -1)
        answer.append(replace(moved, joint_covariance=covariance, samples=samples, depths=depths, ranged=True))
    return answer


def build_fit(parts: Parts) -> Calibration:
    """`calibrate: fit`."""
    return FitCalibration(parts.body)


def build_parallel(parts: Parts) -> Calibration:
    """`calibrate: parallel`."""
    return ParallelCalibration(parts.body)


def build_serial(parts: Parts) -> Calibration:
    """`calibrate: serial`."""
    return SerialCalibration(parts.body, PostureLifter(PostureNetwork(parts.engine("posture"))))
