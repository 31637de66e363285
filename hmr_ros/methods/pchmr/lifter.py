"""Joints of recovered people lifted anew from where they lie in the image: the targets of serial PC-HMR."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hmr_ros.body.coarse import JOINT_IDS, SPARSE_LIMBS
from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.evidence.keypoints import normalise
from hmr_ros.evidence.record import Evidence
from hmr_ros.methods.contract import Estimate
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.types import Floats

_LEAST_DEPTH_M = 0.05
_PELVIS = list(JOINT_IDS).index(0)
_HIPS = slice(0, 2)  # of the limb joints

Lifter = Callable[[list[Evidence], list[Estimate]], Floats]
"""Evidence and recovered people -> limb joints [N,12,3] m, camera frame, the pelvis where it was recovered."""


class PostureLifter:
    """The posture networks as the paper's 2D-to-3D lifter. Of their key points the limb joints are the recovered ones,
    in the image and in space; face, hands and feet stay as they are seen, and so does what is trusted."""

    def __init__(self, network: PostureNetwork) -> None:
        self._network = network

    def __call__(self, evidence: list[Evidence], estimates: list[Estimate]) -> Floats:
        """See `Lifter`."""
        joints = np.array([e.joints for e in estimates])
        limbs = joints[:, SMPL_LIMBS]
        rays = np.array([e.rays for e in evidence])
        rays[:, BLAZEPOSE_LIMBS] = limbs[..., :2] / np.maximum(limbs[..., 2:], _LEAST_DEPTH_M)
        keypoints = np.array([e.keypoints for e in evidence])
        world = keypoints[..., 3:].copy()
        world[:, BLAZEPOSE_LIMBS] = limbs - limbs[:, _HIPS].mean(1, keepdims=True)
        seen = normalise(rays, keypoints[..., 2], world)
        points = self._network(seen.points, np.log(seen.scale)).points
        relative = points[:, SPARSE_LIMBS] - points[:, [_PELVIS]]
        return np.asarray(relative @ np.swapaxes(seen.R_camera_aimed, 1, 2) + joints[:, :1])
