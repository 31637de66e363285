"""Score guidance of whole windows: what poses shall agree with, and the guided DDIM loop (ScoreHMR section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.guidance import keypoint_loss
from hmr_ros.diffusion.rotation6d import gradient_6d, rotations_from_6d
from hmr_ros.diffusion.sampler import invert, sample
from hmr_ros.diffusion.skeleton import Skeleton
from hmr_ros.diffusion.smoothing import MotionSpread, NewtonWindow, couplings
from hmr_ros.posture.prior import TorchPrior
from hmr_ros.stages.window import Stack, turn_root
from hmr_ros.types import Floats

PARENTS = [max(0, int(p)) for p in SMPL_PARENTS]
_LIMBS = list(SMPL_LIMBS)


@dataclass(frozen=True)
class Guidance:
    """How refinement weighs what it knows."""

    frames: int = 16  # of the window
    tau: int = 50  # noise level up to which poses are inverted
    steps: int = 2  # guided steps
    motion: MotionSpread = field(default_factory=lambda: MotionSpread(0.12, 0.06))  # of 6D numbers a frame
    depth: MotionSpread = field(default_factory=lambda: MotionSpread(math.inf, 0.004))  # of the depth's logarithm
    sigma_depth: float = 0.03
    sigma_ray: float = 0.02  # of a landmark seen for certain, on the plane z = 1 at one metre
    outlier: float = 5.0  # times that, beyond which a landmark loses its pull
    loops: int = 1  # inversions, each followed by guided steps
    max_gap_s: float = 0.5  # a longer time out of sight is a new beginning


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
    """What the windows shall agree with: evidence, key points, steady motion."""

    def __init__(self, seen: Stack, betas: Floats, body: BodyModel, guidance: Guidance) -> None:
        """`betas` [P,10]: one shape a window."""
        self._seen = seen
        self._weights = seen.weights * seen.present.reshape(-1, 1)
        rest = body.rest_joints(betas)
        bones = torch.as_tensor(rest - rest[:, PARENTS], dtype=torch.float32)
        frames = seen.x.shape[1]
        self._skeleton = Skeleton(bones.repeat_interleave(frames, 0))
        self._depth = self._smooth_depth(guidance)
        self._sigma = guidance.sigma_ray / self._depth.reshape(-1, 1)  # a landmark's error is one of metres
        self._outlier = guidance.outlier
        reach = torch.as_tensor(_reach(rest), dtype=torch.float32).repeat_interleave(frames, 0)  # [P*W,24,12]
        stiff = (self._weights / (self._sigma * self._depth.reshape(-1, 1))) ** 2
        self.curvature = 2.0 * (reach @ stiff[..., None])[..., 0].reshape(seen.precision.shape)  # of the key points
        self.couplings = couplings(seen.seconds, seen.present, guidance.motion)
        self._newton = NewtonWindow(seen.expected, seen.precision, self.couplings, self.curvature)

    def step(self, x: Tensor) -> Tensor:
        """Newton step [P,W,144] towards the target."""
        return -self._newton.solve(self._newton.gradient(x) + self.keypoint_gradient(x))

    def keypoint_gradient(self, x: Tensor, pelvis: Tensor | None = None) -> Tensor:
        """d (reprojection) / d x [P,W,144]; `pelvis` [P*W,3] m, by default where it fits best."""
        rotations = rotations_from_6d(x.reshape(-1, x.shape[-1]))
        posed = self._skeleton.pose(rotations)
        joints = posed.joints[:, _LIMBS]
        pelvis = self._pelvis(joints) if pelvis is None else pelvis
        weights = self._weights / self._sigma
        pull = keypoint_loss(joints, pelvis, self._seen.rays, weights, self._outlier * self._sigma[:, 0])[1]
        full = torch.zeros_like(posed.joints)
        full[:, _LIMBS] = 0.5 * pull  # a Gaussian's -log likelihood is half the squared distance
        turned = self._skeleton.gradient(posed, rotations, full)
        return gradient_6d(x.reshape(-1, x.shape[-1]), turned).reshape(x.shape)

    def limbs(self, x: Tensor) -> Tensor:
        """Limb joints [P*W,12,3] m of poses, pelvis at the origin."""
        return self._skeleton.pose(rotations_from_6d(x.reshape(-1, x.shape[-1]))).joints[:, _LIMBS]

    def place(self, x: Tensor) -> Tensor:
        """Pelvis [P,W,3] m at the smoothed depth, so that the joints lie on their rays."""
        return self._pelvis(self.limbs(x)).reshape(*x.shape[:2], 3)

    def _pelvis(self, joints: Tensor) -> Tensor:
        """Closed form in x and y; where nothing is seen, the recovered place."""
        z = joints[..., 2:] + self._depth.reshape(-1, 1, 1)
        w = (self._weights**2)[..., None] / z.square()
        away = self._seen.pelvis[:, None, :2] / self._seen.pelvis[:, None, 2:] * self._depth.reshape(-1, 1, 1)
        wanted = self._seen.rays * z - joints[..., :2]
        faint = 0.05 / self._depth.reshape(-1, 1).square()
        xy = ((w * wanted).sum(1) + faint * away[:, 0]) / (w.sum(1) + faint)
        return torch.cat([xy, self._depth.reshape(-1, 1)], 1)

    def _smooth_depth(self, guidance: Guidance) -> Tensor:
        """[P,W] m."""
        log = self._seen.log_depth
        A = couplings(self._seen.seconds, self._seen.present, guidance.depth)
        precision = torch.full_like(log, guidance.sigma_depth**-2)
        newton = NewtonWindow(log, precision, A)
        return (log - newton.solve(newton.gradient(log)))[..., 0].exp()


def _reach(rest: Floats) -> Floats:
    """Squared lever [P,24,12] m^2 of each joint on the limb joints that it carries."""
    distance = ((rest[:, :, None] - rest[:, None, _LIMBS]) ** 2).sum(-1)
    return np.asarray(distance * _CARRIES)


def _carries() -> Floats:
    out = np.zeros((24, len(_LIMBS)))
    for column, limb in enumerate(_LIMBS):
        joint = PARENTS[limb]
        while joint > 0:
            out[joint, column] = 1.0
            joint = PARENTS[joint]
        out[0, column] = 1.0
    return out


_CARRIES = _carries()
