"""Score guidance of whole windows: what poses shall agree with, and the guided DDIM loop (ScoreHMR section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.reprojection import Seen, keypoint_step
from hmr_ros.diffusion.rotation6d import rotations_from_6d
from hmr_ros.diffusion.sampler import invert, sample
from hmr_ros.diffusion.skeleton import Skeleton
from hmr_ros.diffusion.smoothing import MotionSpread, NewtonWindow, couplings
from hmr_ros.posture.prior import TorchPrior
from hmr_ros.stages.window import Stack, turn_root
from hmr_ros.types import Floats

PARENTS = [max(0, int(p)) for p in SMPL_PARENTS]
LIMBS = list(SMPL_LIMBS)


@dataclass(frozen=True)
class Guidance:
    """How refinement weighs what it knows."""

    frames: int = 16  # of the window
    tau: int = 50  # noise level up to which poses are inverted
    steps: int = 2  # guided steps
    motion: MotionSpread = field(default_factory=lambda: MotionSpread(math.inf, 0.15))  # of 6D numbers a frame
    depth: MotionSpread = field(default_factory=lambda: MotionSpread(math.inf, 0.004))  # of the depth's logarithm
    sigma_depth: float = 0.03
    sigma_ray: float = 0.1  # m, error of a landmark seen for certain
    outlier: float = 0.2  # m, distance beyond which a landmark loses its pull
    floor: float = 5.0  # 1/rad^2, what holds a joint where nothing else does
    loops: int = 1  # inversions, each followed by guided steps
    max_gap_s: float = 0.5  # a longer time out of sight is a new beginning


# one frame alone: nothing but its key points can move it, and they shall
KEYPOINTS = Guidance(frames=1, sigma_ray=0.01, floor=50.0, steps=3)


class Steps(Protocol):
    """Anything that poses are guided by."""

    def step(self, x: Tensor) -> Tensor:
        """Newton step [P,W,144]."""
        ...


@torch.inference_mode()
def refine_stack(seen: Stack, target: Steps, prior: TorchPrior, guidance: Guidance) -> Tensor:
    """Poses [P,W,144] after inversion and guided sampling, `guidance.loops` times."""
    shape = seen.x.shape

    def denoise(x: Tensor, t: int) -> Tensor:
        aimed = turn_root(x.reshape(-1, shape[-1]), seen.aim.transpose(1, 2))
        return turn_root(prior.noise(aimed, t, seen.share), seen.aim).reshape(shape)

    falling = [round(guidance.tau * (1 - k / guidance.steps)) for k in range(guidance.steps + 1)]
    rising = falling[::-1] if guidance.loops > 1 else [0, guidance.tau]
    x = seen.x
    for _ in range(guidance.loops):
        x = sample(invert(x, denoise, rising), denoise, falling, step=target.step)
    return x


class Target:
    """What the windows shall agree with: evidence and steady motion (a Newton step), then key points."""

    def __init__(
        self, seen: Stack, betas: Floats, body: BodyModel, guidance: Guidance, newest: int | None = None
    ) -> None:
        """`betas` [P,10]: one shape a window. Only the last `newest` rows (default: all) are sampled and follow their
        key points; the older ones have done so when they were new, and are only smoothed with the new evidence."""
        self._rows = newest or seen.x.shape[1]
        self.older = seen.x[:, : -self._rows]  # [P,W-newest,144]
        A = couplings(seen.seconds, seen.present, guidance.motion)
        self._newton = NewtonWindow(seen.expected, seen.precision, A)
        depth = smooth_depth(seen, guidance)
        held = stiffness(seen.precision, A, guidance)
        last = slice(-self._rows, None)
        self._seen, self._guidance = seen.rows(last), guidance
        self._depth, self._stiffness = depth[:, last].flatten(), held[:, last].flatten(0, 1)
        self._skeleton = skeleton_of(betas, body, self._rows)
        self._keypoints = keypoints_of(self._seen, self._depth, guidance, torch.eye(3), torch.zeros(3))

    def step(self, x: Tensor) -> Tensor:
        """[P,newest,144] from `x` towards the target; moves the older rows."""
        window = torch.cat([self.older, x], 1)
        smooth = window - self._newton.solve(self._newton.gradient(window))
        self.older = smooth[:, : -self._rows]
        return self._moved(smooth[:, -self._rows :])[0] - x

    def place(self, x: Tensor) -> Tensor:
        """Pelvis [P,newest,3] m where the key points want it, at the smoothed depth."""
        return self._moved(x)[1].reshape(*x.shape[:2], 3)

    def _moved(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rotations = rotations_from_6d(x.flatten(0, 1))
        posed = self._skeleton.pose(rotations)
        pelvis = self._pelvis(posed.joints[:, LIMBS])
        pose, pelvis = keypoint_step(
            posed, rotations, pelvis, LIMBS, [self._keypoints], self._stiffness, pelvis_stiffness(self._depth)
        )
        return pose.reshape(x.shape), pelvis

    def _pelvis(self, joints: Tensor) -> Tensor:
        """[P*W,3] at the smoothed depth; closed form in x and y, where nothing is seen the recovered place."""
        depth = self._depth[:, None, None]
        z = joints[..., 2:] + depth
        w = (self._keypoints.weights / z[..., 0])[..., None] ** 2
        there = self._seen.pelvis[:, :2] / self._seen.pelvis[:, 2:] * self._depth[:, None]
        wanted = self._seen.rays * z - joints[..., :2]
        faint = 0.05 * (self._guidance.sigma_ray) ** -2
        xy = ((w * wanted).sum(1) + faint * there) / (w.sum(1) + faint)
        return torch.cat([xy, self._depth[:, None]], 1)


def skeleton_of(betas: Floats, body: BodyModel, frames: int) -> Skeleton:
    """Bones of P people [P,10], for `frames` rows each."""
    rest = body.rest_joints(betas)
    bones = torch.as_tensor(rest - rest[:, PARENTS], dtype=torch.float32)
    return Skeleton(bones.repeat_interleave(frames, 0))


def smooth_depth(seen: Stack, guidance: Guidance) -> Tensor:
    """Depth [P,W] m of the pelvis, the least certain part of its place, over the window."""
    log = seen.log_depth
    A = couplings(seen.seconds, seen.present, guidance.depth)
    newton = NewtonWindow(log, torch.full_like(log, guidance.sigma_depth**-2), A)
    return (log - newton.solve(newton.gradient(log)))[..., 0].exp()


def keypoints_of(seen: Stack, depth: Tensor, guidance: Guidance, R: Tensor, t: Tensor) -> Seen:
    """Landmarks of all rows with their weights; a landmark's error is one of metres, so it shrinks with the depth."""
    weights = seen.weights * seen.present.reshape(-1, 1) * depth[:, None] / guidance.sigma_ray
    return Seen(seen.rays, weights, guidance.outlier / depth, R, t)


def stiffness(precision: Tensor, A: Tensor, guidance: Guidance) -> Tensor:
    """How firmly evidence and motion hold each joint's rotation [P,W,24]; a turn of w moves six numbers by 4/3 w^2."""
    held = precision + torch.diagonal(A, dim1=1, dim2=2)[..., None]
    return 4 / 3 * held + guidance.floor


def pelvis_stiffness(depth: Tensor) -> Tensor:
    """[N,3]: free to the sides, held in depth, which the window knows better than one frame."""
    return torch.stack([torch.full_like(depth, 4.0), torch.full_like(depth, 4.0), 1e4 / depth.square()], 1)
