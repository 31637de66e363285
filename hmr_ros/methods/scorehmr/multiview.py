"""One person in several synchronised views: a common pose, in common axes where the cameras are calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.fitting import Fitted
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.reprojection import keypoint_step
from hmr_ros.diffusion.sampler import spread
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.geometry.covariance import shared
from hmr_ros.methods.contract import Estimate, Observation
from hmr_ros.methods.pchmr.targets import ACROSS_M, calibrated_covariance
from hmr_ros.methods.pchmr.views import VIEW_CALIBRATIONS, Rays, rays_of_views, triangulated
from hmr_ros.methods.scorehmr.guidance import LIMBS, PELVIS_FREE, keypoints_at, stiffness, turn_root
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.settings import VIEWS, Guidance
from hmr_ros.methods.scorehmr.track_batch import TrackBatch, track_batch
from hmr_ros.methods.scorehmr.uncertainty import moved
from hmr_ros.methods.scorehmr.window_sampler import Target, held, sample_windows, skeleton_of
from hmr_ros.types import Floats

_ABSENT = 1e-6  # precision of a frame in which a view does not see the person
_SIGMA_FITTED = 0.05  # of the 6D numbers of a pose fitted to the rays of one frame


@dataclass(frozen=True)
class View:
    """One camera and whom it saw; `R` [3,3] and `t` [3] m take the world to the camera, None = not calibrated."""

    people: list[Observation]  # one person, by rising frame
    R: Floats | None = None
    t: Floats | None = None


@torch.inference_mode()
def refine_views(
    views: list[View], prior: TorchPrior, body: BodyModel, guidance: Guidance = VIEWS, calibrate: str = "fit"
) -> list[View]:
    """The same views with people who share pose and shape; in every frame that any view has.

    A view that lost the person gets it from the others where all cameras are calibrated, else it has a gap there.
    `calibrate`: how the common pose is moved to where the landmarks' rays meet, one of `VIEW_CALIBRATIONS` or "none";
    it frees the shape too. Views that are not calibrated stay without.
    """
    matched = _matched(views)
    betas = np.mean([np.mean([p.estimate.betas for p in view.people], axis=0) for view in views], axis=0)
    common = _common_pose(matched, prior, body, guidance, betas)
    calibration = VIEW_CALIBRATIONS.get(calibrate)
    if calibration is None or any(view.R is None for view in views):
        return _answered(matched, common, body)
    # the shape that the rays tell makes another common pose, which is moved to the rays in turn
    rays = _rays(matched)
    shape = calibration(_estimates(matched, common, body, 0), rays, body).betas.mean(0)
    common = _common_pose(matched, prior, body, guidance, shape)
    fitted = calibration(_estimates(matched, common, body, 0), rays, body)
    sigma = np.where(np.isfinite(triangulated(rays).sigma), ACROSS_M, np.inf)
    return _answered(matched, _steadied(common, fitted, sigma, matched, guidance), body)


@dataclass(frozen=True)
class _Matched:
    """Several views frame by frame."""

    views: list[View]
    frames: list[int]
    nearest: list[list[int]]  # [V][F] place of the person in that frame, or in the nearest that the view has
    seen: list[list[float]]  # [V][F] whether it is that very frame
    stamps: list[int]  # [F] ns

    def person(self, view: int, frame: int) -> Observation:
        """Of the nearest frame that the view has."""
        return self.views[view].people[self.nearest[view][frame]]


@dataclass(frozen=True)
class _Common:
    """One pose for all views, camera axes of each."""

    rotations: Floats  # [V,F,24,3,3]
    pelvis: Floats  # [V,F,3] m
    precision: Floats  # [F,24] as in `moved`
    betas: Floats  # [10]
    sigma_targets: Floats | None = None  # [F,12] m of the limb joints where rays of several views meet; inf elsewhere


def _matched(views: list[View]) -> _Matched:
    frames = sorted({p.frame for view in views for p in view.people})
    nearest, seen = _nearest([view.people for view in views], frames)
    stamps = [
        next(views[v].people[k[f]].stamp_ns for v, k in enumerate(nearest) if seen[v][f]) for f in range(len(frames))
    ]
    return _Matched(views, frames, nearest, seen, stamps)


def _common_pose(
    matched: _Matched, prior: TorchPrior, body: BodyModel, guidance: Guidance, betas: Floats
) -> _Common:  # fmt: skip
    people = [[replace(p, estimate=replace(p.estimate, betas=betas)) for p in v.people] for v in matched.views]
    batches = [track_batch(p, prior) for p in people]
    together = _together(batches, matched.nearest, torch.tensor(matched.seen), matched.stamps)
    target = CommonPose(together, matched.views, betas, body, guidance)
    x = sample_windows(together, target, prior, guidance)
    rotations, pelvis = rotations_from_6d(x).double().numpy(), target.pelvis.double().numpy()
    return _Common(rotations, pelvis, together.precision.sum(0).double().numpy(), betas)


def _estimates(matched: _Matched, common: _Common, body: BodyModel, view: int) -> list[Estimate]:
    """Of every frame, as one view has them."""
    return [
        moved(replace(matched.person(view, k).estimate, betas=common.betas), body, R, pelvis, precision)
        for k, (R, pelvis, precision) in enumerate(
            zip(common.rotations[view], common.pelvis[view], common.precision, strict=True)
        )
    ]


def _answered(matched: _Matched, common: _Common, body: BodyModel) -> list[View]:
    """The common pose as people of each view; whom a view has lost, it gets from the others if it is calibrated."""
    views, calibrated = matched.views, all(view.R is not None for view in matched.views)
    every = [_estimates(matched, common, body, v) for v in range(len(views))]
    if calibrated:
        turns = [_turn_of(view) for view in views]
        shared = [_sharing_covariance(list(row), turns) for row in zip(*every, strict=True)]
        if common.sigma_targets is not None:
            shared = [_measured(row, sigma) for row, sigma in zip(shared, common.sigma_targets, strict=True)]
        every = [list(column) for column in zip(*shared, strict=True)]
    answered = []
    for v, (view, estimates) in enumerate(zip(views, every, strict=True)):
        people = [
            replace(matched.person(v, k), frame=frame, stamp_ns=matched.stamps[k], estimate=estimates[k])
            for k, frame in enumerate(matched.frames)
            if calibrated or matched.seen[v][k]
        ]
        answered.append(replace(view, people=people))
    return answered


def _measured(row: list[Estimate], sigma: Floats) -> list[Estimate]:
    """One frame of every view, whose limb joints several views tell to `sigma` [12] m."""
    return [replace(e, joint_covariance=calibrated_covariance(e.joint_covariance, sigma)) for e in row]


def _rays(matched: _Matched) -> Rays:
    views, frames = matched.views, range(len(matched.frames))
    people = [[matched.person(v, k) for k in frames] for v in range(len(views))]
    R, t = (np.array([getattr(view, name) for view in views]) for name in ("R", "t"))
    return rays_of_views(people, np.array(matched.seen), R, t)


def _steadied(common: _Common, fitted: Fitted, sigma: Floats, matched: _Matched, guidance: Guidance) -> _Common:
    """The bodies that were fitted frame by frame in the axes of the first camera, with the steady motion of guidance,
    for all views."""
    seconds = torch.as_tensor(np.diff(matched.stamps) * 1e-9, dtype=torch.float32)[None]
    count = len(matched.frames)
    x = np.swapaxes(fitted.rotations[..., :2], -1, -2).reshape(1, count, -1)
    A = couplings(seconds, torch.ones(1, count), *guidance.motion)
    precision = torch.full((1, count, fitted.rotations.shape[1]), _SIGMA_FITTED**-2)
    steady = NewtonWindow(torch.as_tensor(x, dtype=torch.float32), precision, A).minimum()[0]
    rotations = np.tile(rotations_from_6d(steady).double().numpy(), (len(matched.views), 1, 1, 1, 1))
    pelvis = np.tile(fitted.pelvis, (len(matched.views), 1, 1))
    first = matched.views[0]
    for v, view in enumerate(matched.views):
        assert view.R is not None and view.t is not None and first.R is not None and first.t is not None
        turn = view.R @ first.R.T
        rotations[v, :, 0] = turn @ rotations[v, :, 0]
        pelvis[v] = pelvis[v] @ turn.T + view.t - turn @ first.t
    return _Common(rotations, pelvis, common.precision, fitted.betas.mean(0), sigma)


def _turn_of(view: View) -> Floats:
    assert view.R is not None, "all views of a calibrated set have R and t"
    return view.R


def _sharing_covariance(estimates: list[Estimate], turns: list[Floats]) -> list[Estimate]:
    """One pose of several views has one covariance: what each view's rays leave open, whose errors are not independent.
    `turns` [3,3] take the world's axes to the views'."""
    world = shared([R.T @ e.joint_covariance @ R for e, R in zip(estimates, turns, strict=True)])
    return [replace(e, joint_covariance=R @ world @ R.T) for e, R in zip(estimates, turns, strict=True)]


def _nearest(people: list[list[Observation]], frames: list[int]) -> tuple[list[list[int]], list[list[float]]]:
    """For each view and frame the place of the nearest frame that it has, and whether it is that very frame."""
    nearest, seen = [], []
    for person in people:
        at = np.array([p.frame for p in person])
        near = [int(np.abs(at - frame).argmin()) for frame in frames]
        nearest.append(near)
        seen.append([float(at[k] == frame) for k, frame in zip(near, frames, strict=True)])
    return nearest, seen


def _together(stacks: list[TrackBatch], nearest: list[list[int]], seen: Tensor, stamps: list[int]) -> TrackBatch:
    """All views side by side; frames in which a view saw nobody weigh nothing there."""
    wide = ("expected", "precision", "log_depth")
    flat = ("conditioning", "aim", "rays", "confidence", "pelvis", "depths", "depth_weights")
    rows = {name: torch.cat([getattr(s, name)[:, k] for s, k in zip(stacks, nearest, strict=True)]) for name in wide}
    rows |= {name: torch.cat([getattr(s, name)[k] for s, k in zip(stacks, nearest, strict=True)]) for name in flat}
    rows["precision"] = torch.where(seen[..., None] > 0, rows["precision"], torch.tensor(_ABSENT))
    for name in ("confidence", "depth_weights"):
        rows[name] = rows[name] * seen.reshape(-1, 1)
    seconds = torch.as_tensor(np.diff(stamps) * 1e-9, dtype=torch.float32).expand(len(stacks), -1)
    return TrackBatch(**rows, seconds=seconds, present=torch.ones_like(seen))


class CommonPose:
    """Cross-view consistency (Eq. 13) with its limit of a common pose: all views take the same step."""

    def __init__(self, seen: TrackBatch, views: list[View], betas: Floats, body: BodyModel, guidance: Guidance) -> None:
        self._seen = seen
        self._each = Target(seen, np.repeat(betas[None], len(views), 0), body, guidance)
        self.calibrated = all(view.R is not None and view.t is not None for view in views)
        eye, zero = np.eye(3), np.zeros(3)
        self._R = torch.as_tensor(np.array([eye if w.R is None else w.R for w in views]), dtype=torch.float32)
        self._t = torch.as_tensor(np.array([zero if w.t is None else w.t for w in views]), dtype=torch.float32)
        V, W = seen.expected.shape[:2]
        A = couplings(seen.seconds[:1], seen.present[:1], *guidance.motion)
        total = seen.precision.sum(0, keepdim=True)
        weights = seen.precision.repeat_interleave(6, -1)
        self._fused = (weights * self._world(seen.expected)).sum(0, keepdim=True) / weights.sum(0, keepdim=True)
        self._newton = NewtonWindow(self._fused, total, A)
        self._skeleton = skeleton_of(betas[None], body, W)
        self._held, self._guidance = held(total, A)[0], guidance
        depth = seen.log_depth.exp()
        rays, confidence, depths, depth_weights = (
            torch.unflatten(a, 0, (V, W)) for a in (seen.rays, seen.confidence, seen.depths, seen.depth_weights)
        )
        self._keypoints = [
            replace(
                keypoints_at(
                    rays[v], confidence[v], depth[v], guidance.sigma_ray, guidance.outlier, self._R[v], self._t[v]
                ),
                depths=depths[v], depth_weights=depth_weights[v],
            )
            for v in range(V)
        ]  # fmt: skip
        self.pelvis = torch.unflatten(seen.pelvis, 0, (V, W))  # [V,W,3] m in each camera, of the last step

    def start(self) -> Tensor:
        """Every view with the pose that all evidence together speaks for."""
        expected = self._seen.expected
        return self._back(self._newton.minimum().expand_as(expected), expected)

    def step(self, x: Tensor, t: int) -> Tensor:
        """[V,W,144] from each view's pose to the common one, moved by all of them; places the pelvis, triangulated from
        all limb joints where the cameras are calibrated."""
        prior = self._guidance.prior / spread(t) ** 2
        moved = self._newton.proximal(self._world(x).mean(0, keepdim=True), len(x) * prior)
        if self.calibrated:
            pose, pelvis = self._moved(moved, len(x) * prior)
            self.pelvis = torch.einsum("vab,wb->vwa", self._R, pelvis) + self._t[:, None]
            return self._back(pose.expand_as(x), x) - x
        goal = self._back(moved.expand_as(x), x)
        turned = goal + self._each.step(goal, t)  # each view's own key points, its orientation with them
        self.pelvis = torch.unflatten(self._each.pelvis, 0, x.shape[:2])
        mean = turned[..., 6:].mean(0, keepdim=True).expand_as(turned[..., 6:])
        return torch.cat([turned[..., :6], mean], -1) - x

    def _moved(self, world: Tensor, prior: float) -> tuple[Tensor, Tensor]:
        rotations = rotations_from_6d(world[0])
        posed = self._skeleton.pose(rotations)
        pelvis = self._triangulated(posed.joints[:, LIMBS])
        free, firm = torch.full_like(pelvis, PELVIS_FREE), stiffness(self._held + prior, self._guidance.floor)
        pose, pelvis = keypoint_step(posed, rotations, pelvis, LIMBS, self._keypoints, firm, free)
        return pose[None], pelvis

    def _triangulated(self, limbs: Tensor) -> Tensor:
        """Pelvis [W,3] m in the world from limb joints [W,12,3] m around it, linear least squares."""
        rows, rhs = [], []
        for view, R, t in zip(self._keypoints, self._R, self._t, strict=True):
            moved = limbs @ R.T + t
            weight = view.weights[..., None]
            rows.append(weight[..., None] * (R[:2] - view.rays[..., None] * R[2:]))  # [W,12,2,3]
            rhs.append(weight * (view.rays * moved[..., 2:] - moved[..., :2]))
        A, b = torch.cat(rows, 1).flatten(1, 2), torch.cat(rhs, 1).flatten(1)[..., None]
        return torch.as_tensor(torch.linalg.lstsq(A, b).solution[..., 0])

    def _world(self, x: Tensor) -> Tensor:
        """Orientation in world axes where the cameras are calibrated."""
        return turn_root(x, self._R.transpose(1, 2)[:, None])

    def _back(self, world: Tensor, x: Tensor) -> Tensor:
        """Camera axes; orientations of cameras that are not calibrated stay those of `x`."""
        if self.calibrated:
            return turn_root(world, self._R[:, None])
        return torch.cat([x[..., :6], world[..., 6:]], -1)
