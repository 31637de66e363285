"""Score guidance of whole windows: what poses shall agree with, and the guided DDIM loop (ScoreHMR section 4.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.sampler import invert, sample, spread
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d, to_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.methods.scorehmr.guidance import depth_energy, keypoints_at, stiffness, towards_keypoints, turn_root
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.methods.scorehmr.track_batch import TrackBatch
from hmr_ros.types import Floats


class Steps(Protocol):
    """Anything that poses are guided by."""

    def start(self) -> Tensor:
        """Poses [P,W,144] to begin with."""
        ...

    def step(self, x: Tensor, t: int) -> Tensor:
        """What a proximal Newton step adds to x0-hat [P,W,144]."""
        ...


@torch.inference_mode()
def sample_windows(seen: TrackBatch, target: Steps, prior: TorchPrior, guidance: Guidance) -> Tensor:
    """Poses [P,W,144] after inversion and guided sampling, `guidance.loops` times."""
    shape = seen.expected.shape

    def denoise(x: Tensor, t: int) -> Tensor:
        aimed = turn_root(x.reshape(-1, shape[-1]), seen.aim.transpose(1, 2))
        return turn_root(prior.noise(aimed, t, seen.conditioning), seen.aim).reshape(shape)

    falling = guidance.levels
    x = target.start()
    for _ in range(guidance.loops):
        x = sample(invert(x, denoise, falling[::-1]), denoise, falling, step=target.step)
    return x


class Target:
    """What the windows shall agree with: evidence and steady motion (a Newton step), then key points."""

    def __init__(self, seen: TrackBatch, betas: Floats, body: BodyModel, guidance: Guidance) -> None:
        """`betas` [P,10]: one shape a window."""
        self._guidance, self._seen = guidance, seen
        A = couplings(seen.seconds, seen.present, *guidance.motion)
        self._newton = NewtonWindow(seen.expected, seen.precision, A)
        middle = seen.log_depth.mean(1, keepdim=True)  # differences to it: float32 keeps them better
        sigma_depth = sigma_of_depths(seen, guidance)
        energy = depth_energy(seen.log_depth - middle, seen.seconds, seen.present, guidance, sigma_depth)
        self._depth = (middle + energy.minimum()[..., 0]).exp().flatten()
        self._held = held(seen.precision, A)
        self._skeleton = skeleton_of(betas, body, seen.expected.shape[1])
        confidence = seen.confidence * seen.present.reshape(-1, 1)
        keypoints = keypoints_at(seen.rays, confidence, self._depth, guidance.sigma_ray, guidance.outlier)
        self._keypoints = replace(keypoints, depths=seen.depths, depth_weights=seen.depth_weights)
        self.pelvis = seen.pelvis  # [P*W,3] m, of the last step

    def start(self) -> Tensor:
        """Evidence and steady motion."""
        return self._newton.minimum()

    def step(self, x: Tensor, t: int) -> Tensor:
        """See `Steps`; places the pelvis."""
        prior = self._guidance.prior / spread(t) ** 2
        rotations = rotations_from_6d(self._newton.proximal(x, prior).flatten(0, 1))
        firm = stiffness(self._held.flatten(0, 1) + prior, self._guidance.floor)
        turned, self.pelvis = towards_keypoints(
            rotations, self._skeleton, self._keypoints, self._seen.pelvis, self._depth, self._guidance.sigma_ray, firm
        )
        return to_6d(turned).reshape(x.shape) - x


def sigma_of_depths(seen: TrackBatch, guidance: Guidance) -> Tensor:
    """Standard deviation [P,W,1] of the logarithm of the pelvis' depth in a frame."""
    known = (seen.depth_weights > 0).any(1).reshape(seen.log_depth.shape)[..., None]
    return torch.where(known, guidance.sigma_measured, guidance.sigma_depth)


def skeleton_of(betas: Floats, body: BodyModel, frames: int) -> Skeleton:
    """Bones of P people [P,10], for `frames` rows each."""
    return Skeleton(torch.as_tensor(body.bones(betas), dtype=torch.float32).repeat_interleave(frames, 0))


def held(precision: Tensor, A: Tensor) -> Tensor:
    """How firmly evidence [P,W,24] and motion [P,W,W] hold each joint's numbers, its neighbours staying [P,W,24]."""
    return precision + torch.diagonal(A, dim1=1, dim2=2)[..., None]
