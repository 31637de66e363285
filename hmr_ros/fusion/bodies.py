"""Several sightings of one person at one moment -> one body in the common frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hmr_ros.body.fitting import Fitted, Observed, OtherCamera, PointFitter
from hmr_ros.body.model import NUM_JOINTS, BodyModel, pose_matrices
from hmr_ros.body.points import points_of
from hmr_ros.fusion.sighting import Sighting
from hmr_ros.geometry.covariance import mean_sigma, packed, shared
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import axis_angle_from_matrix, nearest_rotation
from hmr_ros.methods.scorehmr.settings import VIEWS
from hmr_ros.types import Floats, Human, ScaleSource

_ITERATIONS = 4
_LEAST_DEPTH_M = 0.1
_CONFIDENT, _FEWEST_RAYS = 0.3, 4  # landmarks that say where somebody is


class BodyFusion:
    """The most probable body: its joints as every camera's node found them, each by its covariance, and on the rays of
    every camera's landmarks; so the rays say where it stands and how large it is. Remembers nobody; not safe to call
    from several threads at once."""

    def __init__(self, body: BodyModel) -> None:
        self._body = body
        self._fitter = PointFitter(points_of(body, np.arange(NUM_JOINTS), np.array([], np.int64)))

    def __call__(self, sightings: Sequence[Sighting], betas: Floats, sigma_betas: float) -> Human:
        """One person, common frame; `betas` [10] with their standard deviation are what is known of the shape.

        A single sighting keeps its pose, gets the shape, and is put where its rays say that somebody so large is.
        What belongs to an image (box, key points, K) is of the camera that sees them best.
        """
        best, *rest = sorted(sightings, key=lambda s: float(s.placed.joint_sigma.mean()))
        every = [best, *rest]
        to_axes = best.pose.inverse  # the fit has the axes of the best camera
        turn = to_axes.rotation
        information = [turn @ np.linalg.inv(s.covariance) @ turn.T for s in every]
        relative = [(s.placed.joints - s.placed.joints[0]) @ turn.T for s in every]
        weighed = np.sum([i @ p[..., None] for i, p in zip(information, relative, strict=True)], 0)
        points = np.linalg.solve(np.sum(information, 0), weighed)[..., 0]
        covariance = shared([s.covariance for s in every])
        first, *others = [_camera(s, to_axes) for s in every]
        seen = Observed(
            points[None], mean_sigma(covariance)[None], first.rays, first.sigma_rays, betas[None],
            np.array([sigma_betas]),
        )  # fmt: skip
        near = _mean_pose(every, turn)[None]
        fitted = self._fitter(seen, _ITERATIONS if others else 0, near, others=others)
        pelvis = best.pose(fitted.pelvis[0]) if _rays(every) >= _FEWEST_RAYS else _mean_position(every)
        return self._human(every, fitted, pelvis, covariance)

    def _human(self, every: list[Sighting], fitted: Fitted, pelvis: Floats, covariance: Floats) -> Human:
        best, rotations, betas = every[0], fitted.rotations[0].copy(), fitted.betas[0]
        rotations[0] = best.pose.rotation @ rotations[0]
        joints = fitted.points[0] @ best.pose.rotation.T
        angles = axis_angle_from_matrix(rotations)
        return replace(
            best.placed, global_orient=angles[0], body_pose=angles[1:].reshape(-1), betas=betas,
            transl=pelvis - self._body.rest_joints(betas)[0], joints=joints - joints[0] + pelvis,
            joint_covariance=packed(covariance), hypotheses=None, pelvis=None, scale=ScaleSource.CAMERAS,
            score=max(s.human.score for s in every),
        )  # fmt: skip


def _camera(s: Sighting, to_axes: Rigid) -> OtherCamera:
    """The landmarks' rays as a camera of the fit, whose axes `to_axes` gives; an error of a landmark is one of metres,
    so it shrinks with the depth."""
    rays, confidence = s.rays
    depth = np.maximum(s.human.joints[:, 2], _LEAST_DEPTH_M)
    sigma = np.full(NUM_JOINTS, np.inf)
    known = confidence > 0
    sigma[known] = VIEWS.sigma_ray / (confidence[known] * depth[known])
    there = (to_axes @ s.pose).inverse
    return OtherCamera(rays[None], sigma[None], there.rotation, there.translation)


def _rays(every: list[Sighting]) -> int:
    return sum(int((s.rays[1] > _CONFIDENT).sum()) for s in every)


def _mean_position(every: list[Sighting]) -> Floats:
    """Pelvis [3] m where hardly a ray is known, by the covariances."""
    information = [np.linalg.inv(s.position_covariance) for s in every]
    weighed = np.sum([i @ s.placed.joints[0] for i, s in zip(information, every, strict=True)], 0)
    return np.asarray(np.linalg.solve(np.sum(information, 0), weighed))


def _mean_pose(every: list[Sighting], turn: Floats) -> Floats:
    """Local rotations [24,3,3], the first in axes turned by `turn` from the common ones: the mean of the cameras',
    each joint weighed by how well its camera knows it."""
    total = np.zeros((NUM_JOINTS, 3, 3))
    for s in every:
        rotations = pose_matrices(s.placed.global_orient, s.placed.body_pose)
        rotations[0] = turn @ rotations[0]
        variance = np.trace(s.covariance, axis1=1, axis2=2)
        variance[0] = variance[1:3].mean()  # the pelvis has none of its own: its hips show how it is turned
        total += rotations / variance[:, None, None]
    return nearest_rotation(total)
