"""A person whom two calibrated cameras see, with a common pose and a shape that are wrong."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.contract import estimate_at
from hmr_ros.methods.pchmr.views import VIEW_CALIBRATIONS, Rays, triangulated

FRAMES = 3
R = np.stack([np.eye(3), matrix_from_axis_angle(np.array([0.0, -1.2, 0.0]))])
T = np.array([[0.0, 0.0, 0.0], [2.2, 0.0, 1.4]])
BETAS = np.r_[1.5, -1.0, np.zeros(8)]


@pytest.fixture
def truth(open_body, observed):
    """A person of another shape than the mean, in the axes of the first camera."""
    _, _, estimate = observed(0.4)
    return estimate_at(open_body, estimate.rotations, BETAS, estimate.joints[0], estimate.joint_covariance)


@pytest.fixture
def common(open_body, truth):
    """What was found: the mean shape and a bent elbow."""
    rotations = truth.rotations.copy()
    rotations[SMPL["left_elbow"]] = matrix_from_axis_angle([0.0, -0.6, 0.0]) @ rotations[SMPL["left_elbow"]]
    return [estimate_at(open_body, rotations, np.zeros(10), truth.joints[0] + 0.05, truth.joint_covariance)] * FRAMES


@pytest.fixture
def rays(truth):
    there = np.array([truth.joints[SMPL_LIMBS] @ turn.T + t for turn, t in zip(R, T, strict=True)])
    assert (there[..., 2] > 0.5).all()
    plane = np.tile((there[..., :2] / there[..., 2:])[:, None], (1, FRAMES, 1, 1))
    return Rays(plane, np.full((2, FRAMES, 12), 0.005), R, T)


def test_rays_meet_in_the_joints(rays, truth):
    found = triangulated(rays)
    np.testing.assert_allclose(found.points, np.tile(truth.joints[SMPL_LIMBS], (FRAMES, 1, 1)), atol=1e-6)
    assert np.isfinite(found.sigma).all()


def test_one_ray_meets_none_and_those_that_pass_are_no_joint(rays):
    sigma, plane = rays.sigma.copy(), rays.rays.copy()
    sigma[1, 0, 3] = np.inf
    plane[1, 1, 4] += [0.0, 0.3]  # off the plane of the other ray
    found = triangulated(replace(rays, sigma=sigma, rays=plane))
    lost = np.zeros((FRAMES, 12), bool)
    lost[0, 3] = lost[1, 4] = True
    np.testing.assert_array_equal(np.isnan(found.points).any(-1), lost)
    np.testing.assert_array_equal(np.isinf(found.sigma), lost)


@pytest.mark.parametrize("how", VIEW_CALIBRATIONS)
def test_the_common_pose_is_moved_to_the_rays(open_body, rays, common, truth, how):
    before = np.linalg.norm(common[0].joints[SMPL_LIMBS] - truth.joints[SMPL_LIMBS], axis=1)
    found = VIEW_CALIBRATIONS[how](common, rays, open_body)
    for k in range(FRAMES):
        there = estimate_at(
            open_body, found.rotations[k], found.betas[k], found.pelvis[k], truth.joint_covariance
        )  # fmt: skip
        away = np.linalg.norm(there.joints[SMPL_LIMBS] - truth.joints[SMPL_LIMBS], axis=1)
        assert away.mean() < 0.3 * before.mean()
        assert away.max() < 0.06
    assert np.ptp(found.betas, axis=0).max() < 0.05  # one person has one shape

    def limbs(betas):
        rest = open_body.rest_joints(betas)
        ends = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
        return sum(np.linalg.norm(rest[SMPL[f"left_{b}"]] - rest[SMPL[f"left_{a}"]]) for a, b in ends)

    assert abs(limbs(found.betas[0]) - limbs(BETAS)) < 0.4 * abs(limbs(np.zeros(10)) - limbs(BETAS))


@pytest.mark.parametrize("how", VIEW_CALIBRATIONS)
def test_a_frame_that_one_view_lost_stays_near_the_common_pose(open_body, rays, common, how):
    sigma = rays.sigma.copy()
    sigma[:, 1] = np.inf
    found = VIEW_CALIBRATIONS[how](common, replace(rays, sigma=sigma), open_body)
    there = estimate_at(open_body, found.rotations[1], common[1].betas, found.pelvis[1], common[1].joint_covariance)
    relative = there.joints - there.joints[0] - common[1].joints + common[1].joints[0]
    assert np.linalg.norm(relative[SMPL_LIMBS], axis=1).max() < 0.06
