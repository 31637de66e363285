"""What every method takes and gives: recoveries find an estimate of a person, refinements improve it over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.config import HmrConfig, TemporalConfig
from hmr_ros.evidence.record import Evidence
from hmr_ros.geometry.camera import distort_points, project
from hmr_ros.geometry.covariance import mean_sigma, packed
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.runtime.contract import Engine
from hmr_ros.types import Array, Camera, Floats, Frame, Human, Hypotheses, ScaleSource, Track

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Estimate:
    """An answer on its way: one person in one frame, camera frame. Whoever moves it gives its uncertainty too."""

    rotations: Float[Array, "24 3 3"]  # local, the first body -> camera
    betas: Float[Array, " 10"]
    transl: Float[Array, " 3"]  # m, as in smplx: pelvis = rest pelvis + transl
    joints: Float[Array, "24 3"]  # m
    joint_covariance: Float[Array, "24 3 3"]  # m^2, of the joint relative to the pelvis, camera axes
    samples: Float[Array, "S 24 3 3"] | None = None  # local rotations of hypotheses, where they were asked for
    # of the limb joints, what was measured along the optical axis, and its standard deviation: m; inf where unknown
    depths: Float[Array, "12 2"] | None = None
    ranged: bool = False  # whether a depth image says how far away the person is

    @property
    def joint_sigma(self) -> Float[Array, " 24"]:
        """m, one standard deviation an axis: the root mean diagonal of the covariance."""
        return mean_sigma(self.joint_covariance)


@dataclass(frozen=True)
class Observation:
    """One person in one frame with everything known before refinement."""

    frame: int
    stamp_ns: int
    camera: Camera
    track: Track
    evidence: Evidence
    estimate: Estimate


@dataclass(frozen=True)
class Parts:
    """What every method is built from."""

    config: HmrConfig
    body: BodyModel  # the open body, unless the method takes any
    engine: Callable[[str], Engine]  # what runs a network of the registry, warmed up


class Recovery(Protocol):
    """Finds the pose of everybody in one frame; called with all of them at once so that it may batch."""

    def __call__(self, frame: Frame, tracks: list[Track], evidence: list[Evidence]) -> list[Estimate]:
        """One estimate a track, in the same order."""
        ...

    def reset(self) -> None:
        """Forget what was learned about tracks."""
        ...


class Calibration(Protocol):
    """Moves recovered people to target joints, frame by frame, before refinement (PC-HMR)."""

    needs_depth: bool  # whether it has nothing to say of frames without a depth image

    def __call__(
        self, frame: int, tracks: list[Track], evidence: list[Evidence], estimates: list[Estimate]
    ) -> list[Estimate]:
        """One estimate a track, in the same order; who has no target joints stays where the recovery put them."""
        ...

    def reset(self) -> None:
        """Forget what was learned about tracks."""
        ...


Answer = Callable[[], list[Estimate]]  # called once, when the frame's answer is due


class Refinement(Protocol):
    """Improves estimates over time. Frames come in order; their answers are asked for in the same order, up to `lag`
    frames later, when the frames in between have been observed."""

    lag: int

    def observe(self, stamp_ns: int, people: list[Observation]) -> Answer:
        """Take in a frame (`people` may be empty); the answer has one estimate a person, in the same order."""
        ...

    def adjust(self, config: TemporalConfig) -> None:
        """Take the settings that can change while it runs."""
        ...

    def reset(self) -> None:
        """Forget everybody."""
        ...


def estimate_at(body: BodyModel, rotations: Floats, betas: Floats, pelvis: Floats, covariance: Floats) -> Estimate:
    """The body with local `rotations` [24,3,3] and shape [10] whose pelvis is at `pelvis` [3] m."""
    rest = body.rest_joints(betas)
    joints = forward_kinematics(rotations, rest)[1]
    return Estimate(rotations, betas, pelvis - rest[0], joints - joints[:1] + pelvis, covariance)


def humans_of(people: list[Observation], estimates: list[Estimate], body: BodyModel) -> list[Human]:
    """The answers of one frame as they leave the pipeline: axis-angle, and joints in pixels of the image."""
    if not people:
        return []
    camera, joints = people[0].camera, np.array([e.joints for e in estimates])
    pixels = distort_points(project(joints, camera.K).reshape(-1, 2), camera).reshape(len(people), -1, 2)
    angles = axis_angle_from_matrix(np.array([e.rotations for e in estimates]))
    covariances = packed(np.array([e.joint_covariance for e in estimates]))
    seen = ScaleSource.GUESS if camera.guessed else ScaleSource.INTRINSICS
    return [
        Human(
            frame=p.frame, stamp_ns=p.stamp_ns, track_id=p.track.track_id, state=p.track.state,
            score=p.track.keypoints.score, boxes_xyxy=p.track.boxes_xyxy, keypoints_2d=p.track.keypoints.keypoints_2d,
            global_orient=angles[i, 0], body_pose=angles[i, 1:].reshape(-1), betas=e.betas, transl=e.transl,
            joints=e.joints, joints_2d=pixels[i], joint_covariance=covariances[i], K=camera.K, body_model=body.name,
            hypotheses=hypotheses_of(body, e), scale=ScaleSource.DEPTH if p.estimate.ranged else seen,
        )
        for i, (p, e) in enumerate(zip(people, estimates, strict=True))
    ]  # fmt: skip


def hypotheses_of(body: BodyModel, estimate: Estimate) -> Hypotheses | None:
    """The samples of an estimate as people with its shape and its pelvis; None where it has none."""
    if estimate.samples is None:
        return None
    rest = body.rest_joints(estimate.betas)
    count = len(estimate.samples)
    joints = forward_kinematics(estimate.samples, np.broadcast_to(rest, (count, *rest.shape)))[1] + estimate.transl
    return Hypotheses(joints, estimate.samples, np.full(count, 1 / count))
