"""People handed on as people of another SMPL-format body keep their joints and their pose."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.methods.contract import estimate_at
from hmr_ros.methods.conversion import BodyConversion
from hmr_ros.synth.motion import demo_motion


@pytest.fixture(scope="module")
def other_body(open_body):
    """Longer legs, shorter arms, wider shoulders, and betas that mean something else."""
    v = open_body.v_template.copy()
    v[:, 1] = np.where(v[:, 1] < -0.1, v[:, 1] * 1.12 + 0.012, v[:, 1])
    v[:, 0] = np.sign(v[:, 0]) * np.where(np.abs(v[:, 0]) > 0.17, 0.02 + np.abs(v[:, 0]) * 0.95, np.abs(v[:, 0]) * 1.06)
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(10, 10)))[0]
    return replace(open_body, name="other", v_template=v, shapedirs=open_body.shapedirs @ turned)


@pytest.fixture
def crowd(open_body):
    rng = np.random.default_rng(0)
    poses = demo_motion().poses
    people = []
    for i in range(6):
        pose, betas = poses[i * 50].copy(), rng.normal(0, 0.7, 10)
        pose[:3] = [np.pi - 0.2, 0.1 * i, 0.0]
        pelvis, covariance = np.array([0.2 * i, 0.1, 3.5]), (0.01 * (i + 1)) ** 2 * np.tile(np.eye(3), (24, 1, 1))
        people.append(estimate_at(open_body, pose_matrices(pose[:3], pose[3:]), betas, pelvis, covariance))
    return people


def settled(conversion, crowd):
    """The answer once the shapes are known."""
    for frame in range(10):
        converted = conversion(frame, list(range(len(crowd))), crowd)
    return converted


def test_joints_agree_after_the_conversion(crowd, other_body):
    converted = settled(BodyConversion(other_body), crowd)
    for before, after in zip(crowd, converted, strict=True):
        error = np.linalg.norm(after.joints - before.joints, axis=-1)
        assert error[SMPL_LIMBS].mean() < 0.010
        assert error.max() < 0.04
        posed = forward_kinematics(after.rotations, other_body.rest_joints(after.betas))[1] + after.transl
        np.testing.assert_allclose(posed, after.joints, atol=1e-6)
        np.testing.assert_array_equal(after.joint_covariance, before.joint_covariance)


def test_pose_is_carried_over(crowd, other_body):
    converted = BodyConversion(other_body)(0, list(range(len(crowd))), crowd)
    for before, after in zip(crowd, converted, strict=True):
        cosine = (np.einsum("jab,jab->j", before.rotations, after.rotations) - 1) / 2
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        assert np.median(degrees) < 5
        assert degrees[[SMPL["left_knee"], SMPL["right_elbow"]]].max() < 15


def test_to_the_same_body_nothing_changes(crowd, open_body):
    converted = settled(BodyConversion(open_body), crowd)
    for before, after in zip(crowd, converted, strict=True):
        np.testing.assert_allclose(after.joints, before.joints, atol=0.006)
