"""One guided frame of live refinement as one module: exported as it is, so that a robot needs no torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.diffusion.reprojection import Seen, keypoint_step
from hmr_ros.diffusion.sampler import invert, sample, spread
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.methods.scorehmr.prior import Prior
from hmr_ros.methods.scorehmr.settings import Guidance


class GuidedFrame(nn.Module):
    """What the frames around say (the prior's evidence), steady motion over the window, then guided DDIM steps.

    The window's quadratic energy is minimised in closed form; all its older rows are free, so that only the newest
    needs sampling. Poses in 6D and camera axes.
    """

    def __init__(self, prior: Prior, guidance: Guidance) -> None:
        super().__init__()
        self._prior, self._guidance = prior, guidance
        falling = [round(guidance.tau * (1 - k / guidance.steps)) for k in range(guidance.steps + 1)]
        self._falling = falling
        with torch.no_grad():  # a frame visits the same few noise levels again and again
            levels = prior.denoiser.times(torch.tensor([float(t) for t in [0, *falling]]))
        self._level = {t: k for k, t in enumerate([0, *falling])}
        self.register_buffer("levels", levels)

    def forward(
        self, window: Tensor, poses: Tensor, known: Tensor, aim: Tensor, means: Tensor, precisions: Tensor,
        present: Tensor, seconds: Tensor, log_depth: Tensor, rays: Tensor, confidence: Tensor, bones: Tensor,
        recovered: Tensor, sigma_ray: Tensor, floor: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """P people. What the newest frame's surroundings are: `window` [P,S,768], recovered `poses` [P,S,144], `known`
        [P,S], `aim` [P,3,3] aimed camera -> camera. The older rows of the window: `means` [P,W-1,144], `precisions`
        [P,W-1,24]. All rows: `present` [P,W], `seconds` [P,W-1] between them, `log_depth` [P,W] of the pelvis. The
        newest: `rays` [P,12,2] and `confidence` [P,12] of the limb joints, `bones` [P,24,3] m, `recovered` [P,3] m
        pelvis, `sigma_ray` [P] m, `floor` [P] 1/rad^2.

        Returns local rotations [P,24,3,3], pelvis [P,3] m, and for later frames mean [P,144] and precision [P,24].
        """
        context, pose, log_sigma = self._prior.evidence(window, turn_root(poses, aim.transpose(1, 2)[:, None]), known)
        share = self._prior.denoiser.share(context)
        mean, precision = turn_root(pose, aim), torch.exp(-2 * log_sigma)
        x, held = NewtonWindow(
            torch.cat([means, mean[:, None]], 1), torch.cat([precisions, precision[:, None]], 1),
            couplings(seconds, present, self._guidance.motion),
        ).newest()  # fmt: skip
        last = log_depth[:, -1:]  # differences to it: float32 keeps them better
        energy = depth_energy(log_depth - last, seconds, present, self._guidance)
        depth = torch.exp(last + energy.newest()[0])[:, 0]
        target = _Newest(x, held, depth, rays, confidence, bones, recovered, sigma_ray, floor, self._guidance)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            times = self.get_buffer("levels")[self._level[t]][None]
            aimed = turn_root(x_t, aim.transpose(1, 2))
            return turn_root(self._prior.denoiser.at(aimed, times, share), aim)

        x = invert(x, denoise, [0, self._guidance.tau])
        x = sample(x, denoise, self._falling, step=target.step)
        return rotations_from_6d(x), target.pelvis, mean, precision


class _Newest:
    """What the newest frame shall agree with."""

    def __init__(
        self, x: Tensor, held: Tensor, depth: Tensor, rays: Tensor, confidence: Tensor, bones: Tensor,
        recovered: Tensor, sigma_ray: Tensor, floor: Tensor, guidance: Guidance,
    ) -> None:  # fmt: skip
        self._x, self._held, self._floor, self._prior = x, held, floor[:, None], guidance.prior
        self._depth, self._recovered, self._sigma_ray = depth, recovered, sigma_ray[:, None]
        self._skeleton = Skeleton(bones)
        eye, zero = torch.eye(3), torch.zeros(3)
        self._seen = keypoints_at(rays, confidence, depth, self._sigma_ray, guidance.outlier, eye, zero)
        self.pelvis = recovered

    def step(self, x: Tensor, t: int) -> Tensor:
        """[P,144] from x0-hat to what window, key points and x0-hat itself agree on; places the pelvis."""
        prior = self._prior / spread(t) ** 2
        held = self._held + prior
        share = (self._held / held).repeat_interleave(6, 1)
        rotations = rotations_from_6d(x + share * (self._x - x))
        moved, self.pelvis = towards_keypoints(
            rotations, self._skeleton, self._seen, self._recovered, self._depth, self._sigma_ray,
            stiffness(held, self._floor),
        )  # fmt: skip
        return moved - x


LIMBS = list(SMPL_LIMBS)


def turn_root(x: Tensor, R: Tensor) -> Tensor:
    """6D poses [...,144] with the first joint turned by `R` [...,3,3]; noise turns likewise."""
    first = x[..., :6].reshape(*x.shape[:-1], 2, 3) @ R.transpose(-1, -2)
    return torch.cat([first.flatten(-2), x[..., 6:]], -1)


def depth_energy(log_depth: Tensor, seconds: Tensor, present: Tensor, guidance: Guidance) -> NewtonWindow:
    """Energy of the logarithm of the pelvis' depth [P,W], the least certain part of its place, over the window."""
    log = log_depth[..., None]
    A = couplings(seconds, present, guidance.depth)
    return NewtonWindow(log, 0 * log + guidance.sigma_depth**-2, A)


def keypoints_at(
    rays: Tensor, confidence: Tensor, depth: Tensor, sigma_ray: Tensor | float, outlier: float, R: Tensor, t: Tensor
) -> Seen:
    """Landmarks of N frames with their weights; a landmark's error is one of metres, so it shrinks with the depth.

    `rays` [N,K,2], `confidence` [N,K], `depth` [N] m, `sigma_ray` [N,1] m; `R` [3,3], `t` [3] as in `Seen`.
    """
    return Seen(rays, confidence * depth[:, None] / sigma_ray, outlier / depth, R, t)


def stiffness(held: Tensor, floor: Tensor | float) -> Tensor:
    """How firmly each joint is turned away from where it is, 1/rad^2; `held` [...] is the precision of its six
    numbers: a turn of w moves them by 4/3 w^2."""
    return 4 / 3 * held + floor


def pelvis_stiffness(depth: Tensor) -> Tensor:
    """[N,3]: free to the sides, held in depth [N], which the window knows better than one frame."""
    free = 0 * depth + 4.0
    return torch.stack([free, free, 1e4 / depth.square()], 1)


def pelvis_at(limbs: Tensor, keypoints: Seen, recovered: Tensor, depth: Tensor, sigma_ray: Tensor | float) -> Tensor:
    """Pelvis [N,3] m at `depth` [N]: closed form in x and y, where nothing is seen the recovered place [N,3].

    `limbs` [N,K,3] m from the pelvis, `sigma_ray` [N,1].
    """
    z = limbs[..., 2:] + depth[:, None, None]
    w = (keypoints.weights / z[..., 0])[..., None] ** 2
    there = recovered[:, :2] / recovered[:, 2:] * depth[:, None]
    wanted = keypoints.rays * z - limbs[..., :2]
    faint = 0.05 * sigma_ray**-2
    xy = ((w * wanted).sum(1) + faint * there) / (w.sum(1) + faint)
    return torch.cat([xy, depth[:, None]], 1)


def towards_keypoints(
    rotations: Tensor, skeleton: Skeleton, keypoints: Seen, recovered: Tensor, depth: Tensor,
    sigma_ray: Tensor | float, firm: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """6D poses [N,144] and pelvis [N,3] m one step towards the key points, from local `rotations` [N,24,3,3].

    `recovered` [N,3], `depth` [N] and `sigma_ray` as in `pelvis_at`, `firm` [N,24] as of `stiffness`.
    """
    posed = skeleton.pose(rotations)
    at = pelvis_at(posed.joints[:, LIMBS], keypoints, recovered, depth, sigma_ray)
    return keypoint_step(posed, rotations, at, LIMBS, [keypoints], firm, pelvis_stiffness(depth))
