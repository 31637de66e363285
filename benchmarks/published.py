"""ScoreHMR with its published settings on our prior: the peer that refinement is measured against."""

from dataclasses import dataclass

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
from hmr_ros.methods.scorehmr.track_batch import TrackBatch, track_batch
from hmr_ros.methods.scorehmr.window import pose_6d
from hmr_ros.methods.scorehmr.window_sampler import skeleton_of

CAMERA_RATE = 1e-2
SIGMA_PX = 100.0  # of Geman-McClure in images whose longer side is 1000 px


@dataclass(frozen=True)
class Settings:
    """Whole tracks: 25 inversion and 25 guided steps a loop, 500 denoiser calls."""

    loops: int = 10
    tau: int = 50
    step: int = 2
    keypoints: float = 0.003
    temporal: float = 30.0
    views: float = 0.0  # of the squared distance between each view's body pose and their mean, in 6D (Eq. 13)

    @property
    def times(self) -> list[int]:
        """Rising noise levels."""
        return list(range(0, self.tau + 1, self.step))


WHOLE = Settings()
FRAME = Settings(temporal=0.0)  # each frame alone
VIEWS = Settings(loops=2, tau=100, step=10, keypoints=0.0, temporal=0.0, views=450.0)  # in place of the key points


class Published:
    """Whole tracks at once as the authors do, or live: the last `window` frames anew for every frame."""

    def __init__(self, prior: TorchPrior, window: int | None = None, settings: Settings = WHOLE) -> None:
        self._prior, self._window, self._settings = prior, window, settings

    def __call__(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        """People of one track."""
        if self._window is None:
            return self._refine(people, body)
        starts = [max(0, n + 1 - self._window) for n in range(len(people))]
        return [self._refine(people[a : n + 1], body)[-1] for n, a in enumerate(starts)]

    def _refine(self, people: list[Observation], body: BodyModel) -> list[Estimate]:
        seen = track_batch(people, self._prior)
        # the evidence network speaks first, as their regressor does; it looks at the frames around, too
        return guided_people([people], seen, seen.expected[0], self._prior, body, self._settings)[0]


def each_frame(people: list[Observation], prior: TorchPrior, body: BodyModel, settings: Settings) -> list[Estimate]:
    """Every frame alone, from the recovered pose on (Table 2); nothing is known of the frames around it."""
    seen = _stacked([track_batch([p], prior) for p in people])
    return guided_people([people], seen, _recovered(people), prior, body, settings)[0]


def together(
    views: list[list[Observation]], prior: TorchPrior, body: BodyModel, settings: Settings = VIEWS
) -> list[list[Estimate]]:
    """The same person in several views, uncalibrated, seen in the same frames by all; one shape (Table 3)."""
    betas = np.mean([p.estimate.betas for view in views for p in view], axis=0)
    seen = _stacked([track_batch([p], prior) for view in views for p in view])
    start = torch.cat([_recovered(view) for view in views])
    return guided_people(views, seen, start, prior, body, settings, np.tile(betas, (len(start), 1)))


@torch.inference_mode()
def guided_people(
    views: list[list[Observation]], seen: TrackBatch, start: Tensor, prior: TorchPrior, body: BodyModel,
    settings: Settings, betas: np.ndarray | None = None,
) -> list[list[Estimate]]:  # fmt: skip
    """Inversion and guided sampling, `loops` times; the rows of `seen` and `start` [N,144] are the views one by one."""
    people = [p for view in views for p in view]
    guide = _Guide(people, seen, body, settings, len(views), betas)

    def denoise(x: Tensor, t: int) -> Tensor:
        return turn_root(prior.noise(turn_root(x, seen.aim.transpose(1, 2)), t, seen.conditioning), seen.aim)

    x, times = start, settings.times
    for _ in range(settings.loops):
        x = guided_sample(invert(x, denoise, times), denoise, times[::-1], guide)
    rotations, places = rotations_from_6d(x).double().numpy(), guide.pelvis.double().numpy()
    found = iter([moved(p, r, at, body) for p, r, at in zip(people, rotations, places, strict=True)])
    return [[next(found) for _ in view] for view in views]


class _Guide:
    """Gradient of the losses that have a weight; places the pelvis as it goes."""

    def __init__(
        self, people: list[Observation], seen: TrackBatch, body: BodyModel, settings: Settings, views: int,
        betas: np.ndarray | None,
    ) -> None:  # fmt: skip
        K = people[0].camera.K
        self._focal = float(K[0, 0]) * 1000.0 / max(2 * float(K[0, 2]), 2 * float(K[1, 2]))
        shapes = np.array([p.estimate.betas for p in people]) if betas is None else betas
        self._skeleton = skeleton_of(shapes, body, 1)
        self._seen, self._settings, self._views = seen, settings, views
        self.pelvis, self._adam = seen.pelvis.clone(), _Adam(CAMERA_RATE)

    def __call__(self, x: Tensor) -> Tensor:
        """d loss / d x0-hat [N,144]."""
        gradient, given = torch.zeros_like(x), self._settings
        if given.keypoints:
            gradient = gradient + self._towards_keypoints(x)
        if given.temporal and len(x) > 1:
            gradient = gradient + given.temporal * temporal_loss(x, self._seen.seconds[0])[1]
        if given.views:
            each = x.unflatten(0, (self._views, -1))
            apart = (each - each.mean(0, keepdim=True)).flatten(0, 1)
            gradient[:, 6:] += 2 * given.views * apart[:, 6:]  # sum |x_v - mean|^2; the mean's own part cancels
        return gradient

    def _towards_keypoints(self, x: Tensor) -> Tensor:
        posed, scale = self._skeleton.pose(rotations_from_6d(x)), self._settings.keypoints * self._focal**2
        _, pull, to_pelvis = keypoint_loss(
            posed.joints[:, LIMBS], self.pelvis, self._seen.rays, self._seen.confidence, SIGMA_PX / self._focal
        )
        to_joints = torch.zeros_like(posed.joints)
        to_joints[:, LIMBS] = pull * scale
        self.pelvis = self.pelvis - self._adam.step(to_pelvis * scale)
        return gradient_6d(x, kinematics_gradient(posed, to_joints))


def _recovered(people: list[Observation]) -> Tensor:
    return torch.as_tensor(np.array([pose_6d(p) for p in people]), dtype=torch.float32)


def _stacked(single: list[TrackBatch]) -> TrackBatch:
    """Frames that know nothing of each other, as one row."""
    wide = ("expected", "precision", "log_depth", "present")
    flat = ("conditioning", "aim", "rays", "confidence", "pelvis", "depths", "depth_weights")
    rows = {name: torch.cat([getattr(s, name) for s in single], 1) for name in wide}
    rows |= {name: torch.cat([getattr(s, name) for s in single]) for name in flat}
    return TrackBatch(**rows, seconds=torch.zeros(1, len(single) - 1))


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
