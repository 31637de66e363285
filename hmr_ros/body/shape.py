"""Shape from bone lengths: the betas whose rest skeleton has the measured bones."""

from __future__ import annotations

import numpy as np

from hmr_ros.body.joints import MEASURED_BONES_SMPL
from hmr_ros.body.model import NUM_BETAS, BodyModel
from hmr_ros.types import Floats

# Landmark bones scatter by about 2 cm against one standard deviation a beta; bounds keep the surface human.
_BONE_SIGMA_M = 0.02
_MAX_BETA = 2.5
_ITERATIONS = 3


def betas_from_bone_lengths(body: BodyModel, lengths: Floats) -> Floats:
    """Betas [10] of greatest posterior for bone lengths [len(MEASURED_BONES)] m (NaN = unknown, prior N(0, 1)).

    Gauss-Newton on |J_a(beta) - J_b(beta)|, which is nearly linear in beta.
    """
    betas = np.zeros(NUM_BETAS)
    known = np.isfinite(lengths)
    if not known.any():
        return betas
    a, b = MEASURED_BONES_SMPL[known].T
    directions = body.joint_shapedirs[a] - body.joint_shapedirs[b]  # [M,3,10]
    for _ in range(_ITERATIONS):
        rest = body.rest_joints(betas)
        bones = rest[a] - rest[b]
        norms = np.linalg.norm(bones, axis=-1)
        A = np.einsum("mc,mck->mk", bones / norms[:, None], directions) / _BONE_SIGMA_M
        residual = (lengths[known] - norms) / _BONE_SIGMA_M + A @ betas
        betas = np.linalg.solve(A.T @ A + np.eye(NUM_BETAS), A.T @ residual)
    return np.clip(betas, -_MAX_BETA, _MAX_BETA)
