"""A rendered body with its depth image, seen from any side."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.evidence.record import EvidenceMaker
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.methods.contract import estimate_at
from hmr_ros.synth.motion import demo_motion
from hmr_ros.types import Frame, Keypoints, Roi, Track, TrackingState
from hmr_ros.view.raster import mesh_depth

CAMERA = guess_camera(320, 240)
PELVIS = np.array([0.1, 0.0, 2.2])


def _observed(open_body, turn, depth=True):
    """A walking body seen from a side: evidence with perfect landmarks, and the true estimate."""
    rotations = matrix_from_axis_angle(demo_motion().poses[7].reshape(24, 3))
    yaw = matrix_from_axis_angle(np.array([0.0, turn, 0.0]))
    rotations[0] = np.diag([1.0, -1.0, -1.0]) @ yaw @ rotations[0]
    betas = np.zeros(10)
    estimate = estimate_at(open_body, rotations, betas, PELVIS, 0.05**2 * np.tile(np.eye(3), (24, 1, 1)))
    angles = axis_angle_from_matrix(rotations)
    vertices = open_body.vertices(angles[0], angles[1:].reshape(-1), betas, estimate.transl)
    keypoints = np.zeros((33, 3))
    keypoints[:, :2] = project(PELVIS, CAMERA.K)
    keypoints[BLAZEPOSE_LIMBS, :2] = project(estimate.joints[SMPL_LIMBS], CAMERA.K)
    keypoints[:, 2] = 1.0
    seen = Keypoints(keypoints, np.zeros((33, 3)), 1.0, Roi(np.zeros(2), 100.0, 0.0))
    track = Track(0, TrackingState.TRACKED, seen, np.zeros(4), np.full(12, np.nan))
    image = mesh_depth(vertices, open_body.faces, CAMERA.K, 320, 240) if depth else None
    frame = Frame(0, 0, np.zeros((240, 320, 3), np.uint8), CAMERA, depth=image)
    return track, EvidenceMaker(None)(frame, [track])[0], estimate


@pytest.fixture(scope="session")
def observed(open_body):
    """(turn rad, depth) -> track, evidence with perfect landmarks, true estimate."""
    return lambda turn, depth=True: _observed(open_body, turn, depth)


@pytest.fixture(scope="session")
def camera():
    """What `observed` looks through."""
    return CAMERA
