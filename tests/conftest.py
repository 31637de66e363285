"""Fixtures shared by all tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Human, TrackingState


@pytest.fixture(scope="session")
def shared():
    """Folder with real footage; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real footage beside this checkout")
    return folder


@pytest.fixture(scope="session")
def open_body():
    """The body that ships with the package."""
    return load_body()


@pytest.fixture(scope="session")
def rendered():
    """Twenty-five images of the walking open body at 15 Hz with their truth, and the camera."""
    motion = demo_motion(15.0)
    view = look_at(guess_camera(480, 360), np.array([0.2, 1.1, 3.2]), np.array([0.2, 0.95, 0.0]))
    motion = replace(motion, poses=motion.poses[:25], trans=motion.trans[:25])
    images, truths = zip(*render_motion(motion, load_body(), view), strict=True)
    return list(images), list(truths), view.camera


@pytest.fixture(scope="session")
def motion_file(tmp_path_factory):
    """A short motion as `hmr train` reads it."""
    motion = demo_motion()
    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    np.savez(path, poses=motion.poses, trans=motion.trans)
    return path


@pytest.fixture
def one_thread():
    """The arrays are small: threads would wait for each other, and for those that other tests leave behind."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def human():
    """One recovered person with plausible, all different numbers."""
    rng = np.random.default_rng(0)
    body = load_body()
    orient, pose = np.array([np.pi, 0.1, 0.0]), rng.normal(0, 0.2, 69)
    betas, transl = rng.normal(0, 1, 10), np.array([0.1, 0.2, 3.0])
    joints = body.joints(orient, pose, betas, transl)
    K = guess_camera(640, 480).K
    px = (joints @ K.T)[:, :2] / joints[:, 2:]
    return Human(
        frame=4, stamp_ns=1_234_567_891, track_id=7, state=TrackingState.TRACKED, score=0.75,
        boxes_xyxy=np.array([10.0, 20.0, 200.0, 400.0]), keypoints_2d=rng.uniform(0, 1, (33, 3)),
        global_orient=orient, body_pose=pose, betas=betas, transl=transl, joints=joints, joints_2d=px,
        joint_covariance=rng.uniform(0, 0.01, (24, 6)), K=K, body_model=body.name,
    )  # fmt: skip
