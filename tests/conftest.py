"""Fixtures shared by all tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.covariance import packed
from hmr_ros.io.results import save_arrays
from hmr_ros.io.video import VideoWriter
from hmr_ros.methods.uncertainty import image_covariance
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in, render_motion, truth_arrays
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Human, ScaleSource, TrackingState


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
def walking_clip(rendered, tmp_path_factory):
    """A folder with `rendered` as clip.mp4 and its truth.npz, and the camera as --camera takes it."""
    images, truths, camera = rendered
    folder = tmp_path_factory.mktemp("clip")
    with VideoWriter(folder / "clip.mp4", 15.0) as video:
        for image in images:
            video.write(image)
    save_arrays(folder / "truth.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=False))
    K = camera.K
    return folder, f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"


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


@pytest.fixture(scope="session")
def cameras():
    """Two calibrated cameras at right angles, 4.5 m from the middle of a y-up world."""
    eyes = ([-3.2, 1.5, 3.2], [3.2, 1.5, 3.2])
    return [
        look_at(replace(guess_camera(640, 480), guessed=False), np.array(e), np.array([0.0, 0.9, 0.0])) for e in eyes
    ]


@pytest.fixture(scope="session")
def seen_by(open_body):
    """Makes what a camera's node would publish of a person, without an error of its own."""

    def make(view, transl=(0.0, 0.9, 0.0), yaw=0.3, *, betas=0.0, phase=1.5, sigma=0.03, track_id=0, stamp_ns=0):
        pose = demo_motion(15.0).poses[round(15 * phase)].copy()
        pose[:3] = [0.0, yaw, 0.0]
        betas = np.full(10, betas)
        truth = placed_in(view, open_body, pose, np.array(transl), betas)
        keypoints = np.zeros((33, 3))
        keypoints[BLAZEPOSE_LIMBS, :2], keypoints[:, 2] = truth.joints_2d[SMPL_LIMBS], 0.9
        covariance = image_covariance(np.full(24, sigma), truth.joints)
        return Human(
            frame=0, stamp_ns=stamp_ns, track_id=track_id, state=TrackingState.TRACKED, score=0.9,
            boxes_xyxy=np.array([10.0, 20.0, 200.0, 400.0]), keypoints_2d=keypoints, global_orient=truth.global_orient,
            body_pose=truth.body_pose, betas=betas, transl=truth.transl, joints=truth.joints, joints_2d=truth.joints_2d,
            joint_covariance=packed(covariance), K=view.camera.K, body_model=open_body.name,
            scale=ScaleSource.INTRINSICS,
        )  # fmt: skip

    return make
