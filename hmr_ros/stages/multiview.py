"""One person in several synchronised views: a common pose, in common axes where the cameras are calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.smoothing import MotionSpread, NewtonWindow
from hmr_ros.posture.prior import TorchPrior
from hmr_ros.stages.guided import Guidance, Target, refine_stack
from hmr_ros.stages.quality import OFFLINE, rows_of
from hmr_ros.stages.refine import with_pose
from hmr_ros.stages.window import Row, Stack, stack, turn_root
from hmr_ros.types import Camera, Floats, Human

_ABSENT = 1e-6  # precision of a frame in which a view does not see the person
GUIDANCE = replace(OFFLINE, tau=100, steps=10, motion=MotionSpread(0.12, 0.03))


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
    """Cross-view consistency (Eq. 13) with its limit of a common pose: all views take the same Newton step."""

    def __init__(self, seen: Stack, views: list[View], betas: Floats, body: BodyModel, guidance: Guidance) -> None:
        self._seen = seen
        self._each = Target(seen, np.repeat(betas[None], len(views), 0), body, guidance)
        self.calibrated = all(view.R is not None and view.t is not None for view in views)
        eye, zero = np.eye(3), np.zeros(3)
        self._R = torch.as_tensor(np.array([eye if w.R is None else w.R for w in views]), dtype=torch.float32)
        self._t = torch.as_tensor(np.array([zero if w.t is None else w.t for w in views]), dtype=torch.float32)
        precision = seen.precision
        mean = self._world(seen.expected)
        weights = precision.repeat_interleave(6, -1)
        total = precision.sum(0, keepdim=True)
        fused = (weights * mean).sum(0, keepdim=True) / weights.sum(0, keepdim=True)
        extra = self._each.curvature.sum(0, keepdim=True)
        self._fused = fused
        self._newton = NewtonWindow(fused, total, self._each.couplings[:1] * len(views), extra)
        # where the cameras are not calibrated every view keeps its own orientation
        self._own = NewtonWindow(
            seen.expected[..., :6], precision[..., :1], self._each.couplings, self._each.curvature[..., :1]
        )

    def common(self, x: Tensor) -> Tensor:
        """Every view with the pose that all evidence together speaks for."""
        return self._back(self._fused.expand_as(x), x)

    def step(self, x: Tensor) -> Tensor:
        """Newton step [V,W,144]: from each view's pose to the common one, moved by the gradients of all."""
        world = self._world(x).mean(0, keepdim=True)
        at = self._back(world.expand_as(x), x)
        pelvis = self.place(at).flatten(0, 1) if self.calibrated else None
        keypoints = self._each.keypoint_gradient(at, pelvis)
        together = self._world(keypoints).sum(0, keepdim=True)
        moved = world - self._newton.solve(self._newton.gradient(world) + together)
        goal = self._back(moved.expand_as(x), x)
        if not self.calibrated:
            first = x[..., :6]
            own = first - self._own.solve(self._own.gradient(first) + keypoints[..., :6])
            goal = torch.cat([own, goal[..., 6:]], -1)
        return goal - x

    def place(self, x: Tensor) -> Tensor:
        """Pelvis [V,W,3] m in each camera; triangulated from all limb joints where the cameras are calibrated."""
        if not self.calibrated:
            return self._each.place(x)
        V, W = x.shape[:2]
        limbs = self._each.limbs(x).reshape(V, W, -1, 3)
        rays = self._seen.rays.reshape(V, W, -1, 2)
        depth = self._seen.log_depth.exp().reshape(V, W, 1, 1) + limbs[..., 2:]
        weights = self._seen.weights.reshape(V, W, -1, 1) / depth
        # (R p + t + limb)_xy = ray (R p + t + limb)_z, linear in p
        R = self._R[:, None, None]
        rows = (R[..., :2, :] - rays[..., None] * R[..., 2:, :]) * weights[..., None]  # [V,W,12,2,3]
        at = limbs + self._t[:, None, None]
        rhs = (rays * at[..., 2:] - at[..., :2]) * weights
        rows = rows.permute(1, 0, 2, 3, 4).reshape(W, -1, 3)
        rhs = rhs.permute(1, 0, 2, 3).reshape(W, -1, 1)
        p = torch.linalg.lstsq(rows, rhs).solution[..., 0]  # [W,3]
        return torch.einsum("vab,wb->vwa", self._R, p) + self._t[:, None]

    def _world(self, x: Tensor) -> Tensor:
        """Orientation in world axes where the cameras are calibrated."""
        return turn_root(x, self._R.transpose(1, 2)[:, None])

    def _back(self, world: Tensor, x: Tensor) -> Tensor:
        """Camera axes; orientations of cameras that are not calibrated stay those of `x`."""
        if self.calibrated:
            return turn_root(world, self._R[:, None])
        return torch.cat([x[..., :6], world[..., 6:]], -1)
