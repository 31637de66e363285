"""One person as one camera's node published them, and how well two of these agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hmr_ros.body.axes import moved
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.geometry.covariance import mahalanobis_squared, unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.perception.pelvis import position_covariance
from hmr_ros.types import Floats, Human, TrackingState

LEAST = 1e-6 * np.eye(3)  # m^2: the pelvis relative to itself has no covariance, and a message has seven digits
_LEAST_DEPTH_M = 0.1
_LEAST_WEIGHT = 1e-3
_POSE_SAYS_MOST = 10.0  # of `Likeness.pose`: a camera may take left for right


@dataclass(frozen=True)
class Sighting:
    """One person of one camera, at the moment's own time."""

    camera: str
    human: Human  # in the camera's frame
    pose: Rigid  # camera -> common frame

    @cached_property
    def placed(self) -> Human:
        """The person in the common frame."""
        return moved(self.human, self.pose)

    @cached_property
    def covariance(self) -> Floats:
        """[24,3,3] m^2 of the joints relative to the pelvis, common axes."""
        return unpacked(self.placed.joint_covariance) + LEAST

    @cached_property
    def position_covariance(self) -> Floats:
        """[3,3] m^2 of where the person is, common axes; large along the line of sight."""
        state = self.placed.pelvis
        if state is None:  # nobody followed the person over time
            return position_covariance(self.placed, (self.pose,))
        return np.asarray(state.pose_covariance[:3, :3] + LEAST)

    @property
    def is_seen(self) -> bool:
        """False: the camera's node says where the person should be by now."""
        return self.human.state != TrackingState.SEARCHING

    @cached_property
    def rays(self) -> tuple[Floats, Floats]:
        """Of the limb joints, as landmarks show them: [24,2] on the plane z = 1 of the camera, and confidences [24];
        zero elsewhere.

        A message has no distortion. Joints in space and in pixels differ by nothing else, so the landmark's ray is the
        joint's, turned by the few pixels between both.
        """
        rays, confidence = np.zeros((24, 2)), np.zeros(24)
        human, joints = self.human, self.human.joints[SMPL_LIMBS]
        beside_px = human.keypoints_2d[BLAZEPOSE_LIMBS, :2] - human.joints_2d[SMPL_LIMBS]
        in_front = (joints[:, 2] > _LEAST_DEPTH_M) & np.isfinite(beside_px).all(1)
        plane = joints[:, :2] / np.maximum(joints[:, 2:], _LEAST_DEPTH_M)
        beside = np.where(in_front[:, None], beside_px, 0.0) @ np.linalg.inv(human.K[:2, :2]).T
        rays[SMPL_LIMBS] = plane + beside
        confidence[SMPL_LIMBS] = np.where(in_front, human.keypoints_2d[BLAZEPOSE_LIMBS, 2], 0.0)
        return rays, confidence


def carried_on(human: Human, seconds: float) -> Human:
    """The person a little later (or earlier), at the speed that the message says; the pose stays."""
    state = human.pelvis
    if state is None or seconds == 0:
        return human
    shift = seconds * state.velocity[:3]
    covariance = state.pose_covariance.copy()
    covariance[:3, :3] += seconds**2 * state.velocity_covariance[:3, :3]
    later = replace(state, position=state.position + shift, pose_covariance=covariance)
    return replace(human, joints=human.joints + shift, transl=human.transl + shift, pelvis=later)


@dataclass(frozen=True)
class Likeness:
    """How far two people are from being one, in units of what is known of both."""

    place: float  # squared Mahalanobis distance of where they are; three is as expected
    pose: float  # of the limb joints about there, their mean; three is as expected, and it is bounded
    spread: float  # logarithm of the determinant of the place's covariance: what is vague is like everybody

    @property
    def cost(self) -> float:
        """Twice the negative logarithm of the likelihood, but for a constant."""
        return self.place + self.pose + self.spread


def likeness(people: tuple[Human, Human], place_covariance: Floats, covariance: Floats) -> Likeness:
    """Of two people in one frame, whose covariances of the position add up to `place_covariance` [3,3] and those of the
    joints about the pelvis to `covariance` [24,3,3].

    Where somebody is, is where the limb joints are that both have seen: hips behind a table say little.
    """
    first, second = (h.joints[SMPL_LIMBS] for h in people)
    both = np.prod([h.keypoints_2d[BLAZEPOSE_LIMBS, 2] for h in people], 0) + _LEAST_WEIGHT
    weights = both / both.sum()
    place_covariance = place_covariance + np.einsum("j,jab->ab", weights, covariance[SMPL_LIMBS])
    apart = weights @ (first - second)
    place = float(mahalanobis_squared(apart, place_covariance))
    pose = float(weights @ mahalanobis_squared(first - second - apart, covariance[SMPL_LIMBS]))
    return Likeness(place, min(pose, _POSE_SAYS_MOST), float(np.linalg.slogdet(place_covariance)[1]))
