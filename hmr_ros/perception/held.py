"""What further landmark networks say of one person, held from image to image as long as the person hardly moves.

The first network looks in every image: it says where the next crop lies and how certain everything is. What the mean of
all networks changes about its landmarks is nearly the same in the next image, so the others need not look in each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.geometry.crops import crop_axes, crop_matrix, transform_points
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.types import Floats, Image, Keypoints, Roi

_MOVED = 0.02  # crop sides that no limb joint has moved, but for the whole body, where an opinion still holds


@dataclass(frozen=True)
class _Opinion:
    """What all networks changed about the first one's answer; lengths in sides of the crop and along its axes."""

    limbs: Floats  # [12,2] as the first network saw them
    points: Floats  # [33,2]
    world: Floats  # [33,3] m
    heat: Floats | None  # [33,4] mean x, y; log factors of the covariance and of the mass
    disagreement: float
    painted: bool  # whether others were painted out of the image
    seen: int  # number of the image


class HeldOpinion:
    """One person's."""

    def __init__(self) -> None:
        self._held: _Opinion | None = None
        self._moment = 0

    def advance(self) -> None:
        """The next image."""
        self._moment += 1

    def look(self, landmarker: Landmarker, image: Image, roi: Roi, every: int, painted: bool = False) -> Keypoints:
        """What all networks see in `roi` of the BGR image [H,W,3], or nearly that: what the first one sees, with what
        the others changed less than `every` images ago. `painted`: others are painted out of the image."""
        glance = landmarker.glance(image, roi)
        if every <= 1 or landmarker.networks == 1:
            return landmarker.settled(glance)[0]
        held, first = self._held, glance.keypoints
        recent = held is not None and self._moment - held.seen < every and held.painted == painted
        if held is not None and recent and _moved(_limbs(first, roi), held.limbs) < _MOVED:
            return landmarker.with_limbs(_with(held, first, roi), glance)
        every_one, agreed = landmarker.settled(glance)
        self._held = _opinion(first, every_one, roi, painted, self._moment) if agreed else None
        return every_one


def _opinion(first: Keypoints, every_one: Keypoints, roi: Roi, painted: bool, moment: int) -> _Opinion:
    to_crop, turn = _axes(roi)
    points = (every_one.keypoints_2d[:, :2] - first.keypoints_2d[:, :2]) @ to_crop.T
    world = (every_one.keypoints_3d - first.keypoints_3d) @ turn.T
    heat = None
    if first.heat is not None and every_one.heat is not None:
        spread, mass = (np.log(_size(every_one.heat, k) / _size(first.heat, k)) for k in ([2, 4], [5]))
        heat = np.c_[(every_one.heat[:, :2] - first.heat[:, :2]) @ to_crop.T, spread, mass]
    return _Opinion(_limbs(first, roi), points, world, heat, every_one.disagreement, painted, moment)


def _with(held: _Opinion, first: Keypoints, roi: Roi) -> Keypoints:
    """The first network's answer with what the others changed."""
    to_crop, turn = _axes(roi)
    back = np.linalg.inv(to_crop)
    points, heat = first.keypoints_2d.copy(), first.heat
    points[:, :2] += held.points @ back.T
    if heat is not None and held.heat is not None:
        factors = np.exp(held.heat[:, 2:])
        heat = np.c_[
            heat[:, :2] + held.heat[:, :2] @ back.T, heat[:, 2:5] * factors[:, :1], heat[:, 5:] * factors[:, 1:]
        ]
    world = first.keypoints_3d + held.world @ turn
    return replace(first, keypoints_2d=points, keypoints_3d=world, heat=heat, disagreement=held.disagreement)


def _size(heat: Floats, columns: list[int]) -> Floats:
    """[33] sum of some columns of `Keypoints.heat`, kept from 0."""
    return np.asarray(np.maximum(heat[:, columns].sum(1), 1e-9))


def _axes(roi: Roi) -> tuple[Floats, Floats]:
    """From pixels to sides of the crop along its axes [2,2], and from the camera's axes to those of the upright crop
    [3,3]."""
    return crop_matrix(roi, 1)[:, :2], crop_axes(roi.angle_rad)


def _limbs(keypoints: Keypoints, roi: Roi) -> Floats:
    """[12,2] in sides of the crop."""
    return transform_points(crop_matrix(roi, 1), keypoints.keypoints_2d[BLAZEPOSE_LIMBS, :2])


def _moved(limbs: Floats, before: Floats) -> float:
    """How far the limb that moved most did so, but for what all did."""
    steps = limbs - before
    return float(np.linalg.norm(steps - steps.mean(0), axis=-1).max())
