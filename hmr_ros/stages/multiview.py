"""One person in several synchronised views: a common pose, in common axes where the cameras are calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.reprojection import Seen, keypoint_step
from hmr_ros.diffusion.rotation6d import rotations_from_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.posture.prior import TorchPrior
from hmr_ros.stages.guided import LIMBS, Guidance, Target, refine_stack, skeleton_of, stiffness
from hmr_ros.stages.quality import OFFLINE, rows_of
from hmr_ros.stages.refine import with_pose
from hmr_ros.stages.window import Row, Stack, stack, turn_root
from hmr_ros.types import Camera, Floats, Human

_ABSENT = 1e-6  # precision of a frame in which a view does not see the person
GUIDANCE = replace(OFFLINE, tau=100, sigma_ray=0.03)


@dataclass(frozen=True)
class View:
    """One camera and whom it saw; `R` [3,3] and `t` [3] m take the world to the camera, None = not calibrated."""

    humans: list[Human]  # one person, by rising frame
    camera: Camera
    R: Floats | None = None
    t: Floats | None = None


@torch.inference_mode()
def refine_views(views: list[View], prior: TorchPrior, body: BodyModel, guidance: Guidance = GUIDANCE) -> list[View]:
    """The same views with people who share pose and shape; in every frame that any view has.

    A view that lost the person gets it from the others where all cameras are calibrated, else it has a gap there.
    """
    frames = sorted({h.frame for view in views for h in view.humans})
    betas = np.mean([np.mean([h.betas for h in view.humans], axis=0) for view in views], axis=0)
    rows, seen = [], []
    for view in views:
        known = rows_of([replace(h, betas=betas) for h in view.humans], prior)
        at = np.array([h.frame for h in view.humans])
        nearest = [int(np.abs(at - frame).argmin()) for frame in frames]
        rows.append([known[k] for k in nearest])
        seen.append([float(at[k] == frame) for k, frame in zip(nearest, frames, strict=True)])
    together = _stack(rows, torch.tensor(seen))
    target = CommonPose(together, views, betas, body, guidance)
    x = refine_stack(replace(together, x=target.common(together.expected)), target, prior, guidance)
    pelvis = target.place(x)
    out = []
    for v, view in enumerate(views):
        kept = range(len(frames)) if target.calibrated else [k for k in range(len(frames)) if seen[v][k]]
        humans = [
            with_pose(replace(rows[v][k].human, frame=frames[k], stamp_ns=_stamp(rows, seen, k)), x[v, k], pelvis[v, k],
                      body, view.camera)
            for k in kept
        ]  # fmt: skip
        out.append(replace(view, humans=humans))
    return out


def _stamp(rows: list[list[Row]], seen: list[list[float]], k: int) -> int:
    """When frame `k` was, by a view that saw it."""
    return next(view[k].human.stamp_ns for view, there in zip(rows, seen, strict=True) if there[k])


def _stack(rows: list[list[Row]], seen: Tensor) -> Stack:
    """All views side by side; frames in which a view saw nobody weigh nothing there."""
    together = stack(rows, len(rows[0]))
    stamps = [_stamp(rows, seen.tolist(), k) for k in range(len(rows[0]))]
    seconds = torch.as_tensor(np.diff(stamps) * 1e-9, dtype=torch.float32).expand(len(rows), -1)
    return replace(
        together, seconds=seconds, present=torch.ones_like(seen),
        precision=torch.where(seen[..., None] > 0, together.precision, torch.tensor(_ABSENT)),
        weights=together.weights * seen.reshape(-1, 1),
    )  # fmt: skip


class CommonPose:
    """Cross-view consistency (Eq. 13) with its limit of a common pose: all views take the same step."""

    def __init__(self, seen: Stack, views: list[View], betas: Floats, body: BodyModel, guidance: Guidance) -> None:
        self._seen = seen
        self._each = Target(seen, np.repeat(betas[None], len(views), 0), body, guidance)
        self.calibrated = all(view.R is not None and view.t is not None for view in views)
        eye, zero = np.eye(3), np.zeros(3)
        self._R = torch.as_tensor(np.array([eye if w.R is None else w.R for w in views]), dtype=torch.float32)
        self._t = torch.as_tensor(np.array([zero if w.t is None else w.t for w in views]), dtype=torch.float32)
        V, W = seen.x.shape[:2]
        A = couplings(seen.seconds[:1], seen.present[:1], guidance.motion)
        total = seen.precision.sum(0, keepdim=True)
        weights = seen.precision.repeat_interleave(6, -1)
        self._fused = (weights * self._world(seen.expected)).sum(0, keepdim=True) / weights.sum(0, keepdim=True)
        self._newton = NewtonWindow(self._fused, total, A)
        self._skeleton = skeleton_of(betas[None], body, W)
        self._stiffness = stiffness(total, A, guidance)[0]
        depth = seen.log_depth.exp().reshape(V, W)
        rays, weight = seen.rays.reshape(V, W, -1, 2), seen.weights.reshape(V, W, -1) / guidance.sigma_ray
        self._keypoints = [
            Seen(rays[v], weight[v] * depth[v, :, None], guidance.outlier / depth[v], self._R[v], self._t[v])
            for v in range(V)
        ]

    def common(self, x: Tensor) -> Tensor:
        """Every view with the pose that all evidence together speaks for."""
        return self._back(self._fused.expand_as(x), x)

    def step(self, x: Tensor) -> Tensor:
        """[V,W,144] from each view's pose to the common one, moved by all of them."""
        world = self._world(x).mean(0, keepdim=True)
        moved = world - self._newton.solve(self._newton.gradient(world))
        if self.calibrated:
            return self._back(self._moved(moved)[0].expand_as(x), x) - x
        goal = self._back(moved.expand_as(x), x)
        turned = goal + self._each.step(goal)  # each view's own key points, its orientation with them
        mean = turned[..., 6:].mean(0, keepdim=True).expand_as(turned[..., 6:])
        return torch.cat([turned[..., :6], mean], -1) - x

    def place(self, x: Tensor) -> Tensor:
        """Pelvis [V,W,3] m in each camera; triangulated from all limb joints where the cameras are calibrated."""
        if not self.calibrated:
            return self._each.place(x)
        pelvis = self._moved(self._world(x).mean(0, keepdim=True))[1]
        return torch.einsum("vab,wb->vwa", self._R, pelvis) + self._t[:, None]

    def _moved(self, world: Tensor) -> tuple[Tensor, Tensor]:
        rotations = rotations_from_6d(world[0])
        posed = self._skeleton.pose(rotations)
        pelvis = self._triangulated(posed.joints[:, LIMBS])
        free = torch.full_like(pelvis, 4.0)
        pose, pelvis = keypoint_step(posed, rotations, pelvis, LIMBS, self._keypoints, self._stiffness, free)
        return pose[None], pelvis

    def _triangulated(self, limbs: Tensor) -> Tensor:
        """Pelvis [W,3] m in the world from limb joints [W,12,3] m around it, linear least squares."""
        rows, rhs = [], []
        for view in self._keypoints:
            moved = limbs @ view.R.T + view.t
            weight = view.weights[..., None]
            rows.append(weight[..., None] * (view.R[:2] - view.rays[..., None] * view.R[2:]))  # [W,12,2,3]
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
