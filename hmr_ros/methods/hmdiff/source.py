"""`recover: hmdiff`: the 81 body points as samples of a diffusion that is aligned with what else is known of them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, SPARSE_LIMBS, SPARSE_PARENTS, coarse_of, sparse_points
from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.joints import BLAZEPOSE_LANDMARKS
from hmr_ros.body.model import NUM_BETAS, BodyModel
from hmr_ros.config import HmdiffConfig
from hmr_ros.diffusion.schedule import STEPS, antithetic
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.record import PERSON_M, Evidence, EvidenceMaker, Posture, PostureSource, keypoints_of, posture_of
from hmr_ros.methods.contract import Parts
from hmr_ros.methods.hmdiff.alignment import Alignment, Denoise, Denoised, Prior, remaining_sigma, reverse
from hmr_ros.methods.hmdiff.prior import (
    Measured,
    depth_distribution,
    depths,
    prior_of,
    rays,
    sigma_2d,
)
from hmr_ros.methods.pchmr.targets import DepthTargets
from hmr_ros.methods.posturehmr.recovery import estimates_of, evidence_2d, joint_sigma
from hmr_ros.runtime.contract import Engine, Signature
from hmr_ros.types import Floats, Frame, Track

UNIT_M = 0.3  # the points are diffused in units of this, their standard deviation
NUM_BINS, DEPTH_M = 48, 1.0  # depth bins of a joint, from -DEPTH_M to DEPTH_M behind the pelvis
RANK = 32  # of the covariance that alignment knows
_LEAST_M = 0.1


def hmdiff_signature(samples: int) -> Signature:
    """Names and sizes as in `graphs.HmdiffModule.forward`."""
    return Signature(
        "hmdiff",
        {"points": (33, 6), "log_scale": (), "state": (samples, NUM_SPARSE, 3), "time": ()},
        {
            "clean": (samples, NUM_SPARSE, 3), "factor": (NUM_SPARSE * 3, RANK), "sigma": (NUM_SPARSE, 3),
            "depth": (len(JOINT_IDS), NUM_BINS), "mixture": (33, NUM_SPARSE),
        },
    )  # fmt: skip


@dataclass(frozen=True)
class People:
    """Everybody in a frame, with what the network says of the noise that sampling begins with."""

    seen: Normalised
    noise: Floats  # [N,S,81,3]
    denoise: Denoise
    first: Denoised
    depth: Floats  # [N,17,48]
    mixture: Floats  # [33,81]


Known = Callable[[Frame, list[Track], list[Evidence]], list[Measured]]


class HmdiffPosture:
    """A `PostureSource`: the mean of samples of the 81 points, towards U; their 2D points are another source's."""

    def __init__(self, config: HmdiffConfig, body: BodyModel, engine: Engine, source: PostureSource | None) -> None:
        """`body` is the open body; `engine` runs `hmdiff`, for `config.samples` samples."""
        self._config, self._engine = config, engine
        self._evidence, self._body = EvidenceMaker(source), body
        self._fitter = PointFitter(sparse_points(body, coarse_of(body)))
        self._targets = DepthTargets(body)
        self.known: Known | None = None  # what a user's own sensors know of the people in a frame

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """See `PostureSource`."""
        del seen  # evidence holds the same
        evidence = self._evidence(frame, tracks)
        return self.posture(evidence, self.known(frame, tracks, evidence) if self.known else [])

    def posture(self, evidence: list[Evidence], measured: list[Measured]) -> Posture:
        """The 81 points of those who left `evidence`, which holds another source's; `measured` as in `samples`."""
        people, measured, samples = self._drawn(evidence, measured)
        other, mean = posture_of(evidence), samples.mean(1)
        # samples that differ have a mean with short bones; how long they are, nothing but a measurement knows better
        # than the other source
        wanted = size(samples).mean(1) if measured else size(other.points)
        points = mean * (wanted / np.maximum(size(mean), _LEAST_M))[:, None, None]
        # what the landmarks say is in the network's own sigma already; only what was measured besides makes it smaller
        besides = prior_of(measured, 1, np.random.default_rng(0)) if measured else None
        return replace(other, points=points, sigma=remaining_sigma(besides, people.first, UNIT_M))

    def samples(self, evidence: list[Evidence], measured: list[Measured] | None = None) -> Floats:
        """[S,N,81,3] m, axes of the camera aimed at each person, pelvis at the origin: samples given `evidence`, which
        lie around its landmarks and, with `hmdiff.align`, in U, of which its depth joints are part. `measured`: what
        else U knows, in these axes, as `prior.joints`, `prior.depths` and `prior.rays` (of another camera, or a better
        2D detector) make it."""
        return np.swapaxes(self._drawn(evidence, measured or [])[2], 0, 1)

    def seeded(self, seed: int) -> HmdiffPosture:
        """The same source with the noise of another seed."""
        other = copy(self)
        other._config = replace(self._config, seed=seed)
        return other

    def _drawn(self, evidence: list[Evidence], measured: list[Measured]) -> tuple[People, list[Measured], Floats]:
        """Who they are, all that was measured of them besides the landmarks, and samples [N,S,81,3] m."""
        measured = (self._depth_joints(evidence) if self._config.align else []) + measured
        people = self.begin(keypoints_of(evidence))
        return people, measured, self._reverse(people, self._prior(people, evidence, measured))

    def prior(self, people: People, heat: Floats, measured: list[Measured]) -> Prior:
        """U of the landmarks' rays with the errors that their `heat` [N,33,6] says, of the depth distribution, and of
        what was `measured` besides."""
        rng = np.random.default_rng([self._config.seed, 1])
        seen = people.seen
        sigma = PERSON_M * sigma_2d(seen.points[..., 2], heat)
        given = [
            rays(people.mixture, seen.points[..., :2] * seen.scale[:, None, None], sigma),
            depth_distribution(people.depth, DEPTH_M, people.first.factor, self._config.samples, rng),
            *measured,
        ]
        return prior_of(given, self._config.samples, rng)

    def begin(self, seen: Normalised, *, zero: bool = False) -> People:
        """The first call of the network. `zero`: without noise, as the one-step baseline was trained."""
        config, N = self._config, len(seen.points)
        noise = antithetic(np.random.default_rng(config.seed), config.samples, NUM_SPARSE * 3)
        noise = np.repeat(noise.reshape(1, -1, NUM_SPARSE, 3) * (not zero), N, axis=0)

        def call(h: Floats, t: int) -> dict[str, Floats]:
            return self._engine(
                {"points": seen.points, "log_scale": np.log(seen.scale), "state": h, "time": np.full(N, float(t))}
            )

        def denoise(h: Floats, t: int) -> Denoised:
            return _denoised(call(h, t))

        found = call(noise, STEPS)
        return People(seen, noise, denoise, _denoised(found), found["depth"].astype(float), found["mixture"][0])

    def _reverse(self, people: People, prior: Prior | None) -> Floats:
        """[N,S,81,3] m, pelvis at the origin."""
        h = reverse(people.denoise, people.noise, self._config.steps, prior, Alignment(), people.first, UNIT_M)
        return np.asarray(UNIT_M * (h - h[:, :, :1]))

    def _prior(self, people: People, evidence: list[Evidence], measured: list[Measured]) -> Prior | None:
        if self._config.align:
            return self.prior(people, heat_rows(evidence), measured)
        return prior_of(measured, self._config.samples, np.random.default_rng(self._config.seed)) if measured else None

    def _depth_joints(self, evidence: list[Evidence]) -> list[Measured]:
        """Of those whom a depth image sees; how deep a joint lies behind the surface depends on how the other source's
        body stands."""
        if all(e.depth is None for e in evidence):
            return []
        seen, posture = keypoints_of(evidence), posture_of(evidence)
        N = len(evidence)
        fitted = self._fitter(
            Observed(posture.points, posture.sigma, *evidence_2d(seen, posture), np.zeros((N, NUM_BETAS)), np.ones(N))
        )
        targets = self._targets(evidence, estimates_of(self._body, seen, fitted, joint_sigma(posture.sigma)))
        aimed = np.nan_to_num(targets.points) @ np.array([e.R_camera_aimed for e in evidence])  # rows: R^T p
        return [depths(SPARSE_LIMBS.tolist(), aimed[..., 2], targets.sigma)]


def size(points: Floats) -> Floats:
    """Bones of the 17 joints among the 81 points [...,81,3], one after the other [...] m."""
    ends = np.flatnonzero(SPARSE_PARENTS >= 0)
    return np.asarray(np.linalg.norm(points[..., ends, :] - points[..., SPARSE_PARENTS[ends], :], axis=-1).sum(-1))


def _denoised(found: dict[str, Floats]) -> Denoised:
    return Denoised(*(found[name].astype(float) for name in ("clean", "factor", "sigma")))


def heat_rows(evidence: list[Evidence]) -> Floats:
    """`Evidence.heat` [N,33,6], NaN where there is none."""
    unknown = np.full((len(BLAZEPOSE_LANDMARKS), 6), np.nan)
    return np.array([unknown if e.heat is None else e.heat for e in evidence])


def build(parts: Parts, source: PostureSource) -> HmdiffPosture:
    """`recover: hmdiff`, on top of another source."""
    return HmdiffPosture(parts.config.hmdiff, parts.body, parts.engine("hmdiff"), source)
