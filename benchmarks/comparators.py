"""What refinement is measured against: One-Euro on SMPL parameters, and a SMPLify-style optimiser."""

from dataclasses import dataclass

import numpy as np
import torch
from guidance_losses import keypoint_loss, temporal_loss
from torch import Tensor

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.contract import Estimate, Observation, estimate_at
from hmr_ros.methods.scorehmr.window import pose_6d
from hmr_ros.types import Floats

LIMBS = list(SMPL_LIMBS)


@dataclass(frozen=True)
class OneEuro:
    """Casiez et al. 2012 on 6D pose and translation; `beta` per unit of speed."""

    min_cutoff: float
    beta: float
    derivative_cutoff: float = 1.0

    def __call__(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        """People of one track, each filtered with those before it (lag 0)."""
        values = np.array([np.r_[pose_6d(p), p.estimate.joints[0]] for p in people])
        times = np.array([p.stamp_ns for p in people]) * 1e-9
        filtered, speed = [values[0]], np.zeros_like(values[0])
        for before, now, value in zip(times[:-1], times[1:], values[1:], strict=True):
            dt = now - before
            change = (value - filtered[-1]) / dt
            speed += _share(self.derivative_cutoff, dt) * (change - speed)
            share = _share(self.min_cutoff + self.beta * np.abs(speed), dt)
            filtered.append(filtered[-1] + share * (value - filtered[-1]))
        return [
            moved(p, rotations_from_6d(torch.as_tensor(v[:144])).numpy(), v[144:], body)
            for p, v in zip(people, filtered, strict=True)
        ]


def _share(cutoff: Floats | float, dt: float) -> Floats:
    return np.asarray(1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * dt)))


class Smplify:
    """Adam on reprojection, temporal consistency and a Gaussian pose prior over the same sliding window, lag 0."""

    def __init__(self, poses: Floats, iterations: int, *, frames: int = 16, rate: float = 0.01) -> None:
        """`poses` [F,24,3] rad: the motion whose mean and covariance are the prior."""
        rotations = matrix_from_axis_angle(poses[:, 1:22])
        x = np.swapaxes(rotations[..., :2], -1, -2).reshape(len(poses), -1)
        self._mean = torch.as_tensor(x.mean(0), dtype=torch.float32)
        covariance = np.cov(x.T) + 1e-3 * np.eye(x.shape[1])
        self._precision = torch.as_tensor(np.linalg.inv(covariance), dtype=torch.float32)
        self._iterations, self._frames, self._rate = iterations, frames, rate

    def __call__(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        """See `OneEuro`."""
        start = torch.as_tensor(np.array([pose_6d(p) for p in people]), dtype=torch.float32)
        pelvis = torch.as_tensor(np.array([p.estimate.joints[0] for p in people]), dtype=torch.float32)
        out, x = [], start[:0]
        for n, person in enumerate(people):
            first = max(0, n + 1 - self._frames)
            x = torch.cat([x, start[n : n + 1]])[-self._frames :]
            x, place = self._fit(x, pelvis[first : n + 1].clone(), people[first : n + 1], body)
            pelvis[first : n + 1] = place
            rotations = rotations_from_6d(x[-1]).double().numpy()
            out.append(moved(person, rotations, place[-1].double().numpy(), body))
        return out

    def _fit(self, x: Tensor, pelvis: Tensor, people: list[Observation], body: BodyModel) -> tuple[Tensor, Tensor]:
        skeleton = Skeleton(torch.as_tensor(body.bones(people[-1].estimate.betas), dtype=torch.float32)[None])
        rays = torch.as_tensor(np.array([p.evidence.rays[BLAZEPOSE_LIMBS] for p in people]), dtype=torch.float32)
        weights = torch.as_tensor(
            np.array([p.track.keypoints.keypoints_2d[BLAZEPOSE_LIMBS, 2] for p in people]), dtype=torch.float32
        )
        seconds = torch.as_tensor(np.diff([p.stamp_ns for p in people]) * 1e-9, dtype=torch.float32)
        x, pelvis = x.clone().requires_grad_(), pelvis.requires_grad_()
        optimizer = torch.optim.Adam([x, pelvis], lr=self._rate)
        for _ in range(self._iterations):
            joints = skeleton.pose(rotations_from_6d(x)).joints[:, LIMBS]
            loss = 3000 * keypoint_loss(joints, pelvis, rays, weights, 0.1)[0].sum()
            away = x[:, 6 : 6 + len(self._mean)] - self._mean
            loss = loss + 0.02 * ((away @ self._precision) * away).sum()
            if len(seconds):
                loss = loss + 30 * temporal_loss(x, seconds)[0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return x.detach(), pelvis.detach()


def moved(person: Observation, rotations: Floats, pelvis: Floats, body: BodyModel) -> Estimate:
    """The person's estimate in another pose at another place."""
    return estimate_at(body, rotations, person.estimate.betas, pelvis, person.estimate.joint_covariance)
