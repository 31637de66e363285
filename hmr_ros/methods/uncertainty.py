"""How far off recovered joints may be: covariances along the rays, and hypotheses that move with their person."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import JOINT_GROUPS, SMPL_JOINTS
from hmr_ros.geometry.covariance import along_rays
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Floats

# how many times larger errors are along the ray than across it, by joint group, on rendered motion of people that no
# network was trained on (benchmarks/uncertainty.py): a single image tells depth worst
_STRETCH = {
    "trunk": 1.7, "head": 2.2, "shoulders": 1.7, "elbows": 1.9, "hands": 2.0, "knees": 2.1, "feet": 2.5,
}  # fmt: skip


def by_joint(groups: dict[str, float]) -> Floats:
    """[24] from one value a joint group."""
    out = np.empty(len(SMPL_JOINTS))
    for name, rows in JOINT_GROUPS.items():
        out[rows] = groups[name]
    return out


def image_covariance(sigma: Floats, joints: Floats) -> Floats:
    """Covariance [...,24,3,3] m^2 of joints [...,24,3] m that one image told, in camera axes; `sigma` [...,24] m is
    the root mean diagonal."""
    return along_rays(sigma, joints, np.broadcast_to(STRETCH, sigma.shape))


def scaled(covariance: Floats, sigma: Floats, new: Floats) -> Floats:
    """`covariance` [24,3,3] of root mean diagonal `sigma` [24], made to have `new` [24]."""
    return np.asarray(covariance * np.square(new / sigma)[..., None, None])


def carried(samples: Floats | None, before: Floats, after: Floats, factor: Floats | float = 1.0) -> Floats | None:
    """Hypotheses [S,24,3,3] about the pose `before` [24,3,3] as hypotheses about `after`: each joint's deviation stays,
    its angle times `factor` ([24] or one). None where there are none."""
    if samples is None:
        return None
    deviation = samples @ np.swapaxes(before, -1, -2)
    if np.ndim(factor) or factor != 1.0:
        angles = axis_angle_from_matrix(deviation)
        deviation = matrix_from_axis_angle(angles * np.asarray(factor)[..., None])
    return np.asarray(deviation @ after)


STRETCH = by_joint(_STRETCH)
