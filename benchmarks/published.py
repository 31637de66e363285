"""ScoreHMR with its published settings on our prior: the peer that live refinement is measured against."""

import numpy as np
import torch
from comparators import moved
from guidance_losses import gradient_6d, guided_sample, keypoint_loss, kinematics_gradient, temporal_loss
from torch import Tensor

from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.sampler import invert
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.methods.contract import Estimate, Observation
from hmr_ros.methods.scorehmr.guidance import LIMBS, turn_root
from hmr_ros.methods.scorehmr.prior import TorchPrior
from hmr_ros.methods.scorehmr.track_batch import track_batch
from hmr_ros.methods.scorehmr.window_sampler import skeleton_of

LOOPS, TAU, STEP = 10, 50, 2  # 25 inversion and 25 guided steps a loop: 500 denoiser calls
KEYPOINT_WEIGHT, TEMPORAL_WEIGHT, CAMERA_RATE = 0.003, 30.0, 1e-2
SIGMA_PX = 100.0  # of Geman-McClure in images whose longer side is 1000 px


class Published:
    """Whole tracks at once as the authors do, or live: the last `window` frames anew for every frame."""

    def __init__(self, prior: TorchPrior, window: int | None = None) -> None:
        self._prior, self._window = prior, window

    def __call__(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        """People of one track."""
        if self._window is None:
            return self._refine(people, body)
        starts = [max(0, n + 1 - self._window) for n in range(len(people))]
        return [self._refine(people[a : n + 1], body)[-1] for n, a in enumerate(starts)]

    @torch.inference_mode()
    def _refine(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        seen = track_batch(people, self._prior)
        skeleton = skeleton_of(np.array([p.estimate.betas for p in people]), body, 1)
        camera = people[0].camera
        focal = float(camera.K[0, 0]) * 1000.0 / max(2 * float(camera.K[0, 2]), 2 * float(camera.K[1, 2]))
        pelvis, adam = seen.pelvis.clone(), _Adam(CAMERA_RATE)

        def denoise(x: Tensor, t: int) -> Tensor:
            return turn_root(self._prior.noise(turn_root(x, seen.aim.transpose(1, 2)), t, seen.conditioning), seen.aim)

        def guide(x: Tensor) -> Tensor:
            posed = skeleton.pose(rotations_from_6d(x))
            _, pull, to_pelvis = keypoint_loss(
                posed.joints[:, LIMBS], pelvis, seen.rays, seen.confidence, SIGMA_PX / focal
            )
            to_joints = torch.zeros_like(posed.joints)
            to_joints[:, LIMBS] = pull * (KEYPOINT_WEIGHT * focal**2)
            gradient = gradient_6d(x, kinematics_gradient(posed, to_joints))
            if len(x) > 1:
                gradient = gradient + TEMPORAL_WEIGHT * temporal_loss(x, seen.seconds[0])[1]
            pelvis.sub_(adam.step(to_pelvis * focal**2 * KEYPOINT_WEIGHT))
            return gradient

        times = list(range(0, TAU + 1, STEP))
        x = seen.expected[0]  # the evidence network speaks first, as their regressor does
        for _ in range(LOOPS):
            x = guided_sample(invert(x, denoise, times), denoise, times[::-1], guide)
        rotations = rotations_from_6d(x).double().numpy()
        places = pelvis.double().numpy()
        return [moved(p, r, at, body) for p, r, at in zip(people, rotations, places, strict=True)]


class _Adam:
    """Steps of Adam for one tensor."""

    def __init__(self, rate: float) -> None:
        self._rate, self._count = rate, 0
        self._mean, self._square = torch.zeros(()), torch.zeros(())

    def step(self, gradient: Tensor) -> Tensor:
        """What to subtract."""
        self._count += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        return self._rate * mean / (square.sqrt() + 1e-8)
