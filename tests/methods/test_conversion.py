"""People handed on as people of another SMPL-format body keep their joints and their pose."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.body.model import pose_matrices
from hmr_ros.geometry.camera import guess_camera
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
def crowd(open_body, human):
    rng = np.random.default_rng(0)
    poses = demo_motion().poses
    people = []
    for i in range(6):
        pose, betas = poses[i * 50].copy(), rng.normal(0, 0.7, 10)
        pose[:3] = [np.pi - 0.2, 0.1 * i, 0.0]
        transl = np.array([0.2 * i, 0.1, 3.5])
        joints = open_body.joints(pose[:3], pose[3:], betas, transl)
        people.append(
            replace(
                human, track_id=i, global_orient=pose[:3], body_pose=pose[3:], betas=betas, transl=transl, joints=joints
            )
        )
    return people


def test_joints_agree_after_the_conversion(crowd, other_body):
    """The second frame already knows the shapes."""
    conversion = BodyConversion(lambda frame, tracks: crowd, other_body)
    camera = guess_camera(640, 480)
    for _ in range(10):
        converted = conversion.convert(crowd, camera)
    for before, after in zip(crowd, converted, strict=True):
        error = np.linalg.norm(after.joints - before.joints, axis=-1)
        assert error[SMPL_LIMBS].mean() < 0.010
        assert error.max() < 0.04
        assert after.body_model == "other"
        posed = other_body.joints(after.global_orient, after.body_pose, after.betas, after.transl)
        np.testing.assert_allclose(posed, after.joints, atol=1e-6)


def test_pose_is_carried_over(crowd, other_body):
    converted = BodyConversion(lambda frame, tracks: crowd, other_body).convert(crowd, guess_camera(640, 480))
    for before, after in zip(crowd, converted, strict=True):
        a, b = (pose_matrices(h.global_orient, h.body_pose) for h in (before, after))
        cosine = (np.einsum("jab,jab->j", a, b) - 1) / 2
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        assert np.median(degrees) < 5
        assert degrees[[SMPL["left_knee"], SMPL["right_elbow"]]].max() < 15


def test_to_the_same_body_nothing_changes(crowd, open_body):
    conversion = BodyConversion(lambda frame, tracks: crowd, open_body)
    for _ in range(10):
        converted = conversion.convert(crowd, guess_camera(640, 480))
    for before, after in zip(crowd, converted, strict=True):
        np.testing.assert_allclose(after.joints, before.joints, atol=0.006)
