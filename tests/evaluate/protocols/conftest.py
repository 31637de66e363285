"""Tiny data sets in the layouts of 3DPW, EMDB and Human3.6M, written from a rendered person with known truth.

The camera of the first two is carried; SMPL's files are the open body in SMPL's format.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import save_arrays

FRAMES = 10
# Human3.6M's 17 joints as SMPL's regressor can give them
H36M = (
    "pelvis", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle", "spine3", "neck",
    "head", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
H36M_K = np.array([[1145.51, 0, 514.97], [0, 1144.77, 501.88], [0, 0, 1]])  # of the frontal camera
LSP = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)  # of these


@dataclass
class Person:
    """The rendered person in a world of her own, seen by a carried camera."""

    images: list
    truths: list
    K: np.ndarray
    extrinsics: np.ndarray  # [F,4,4] world -> camera
    poses: np.ndarray  # [F,72] in the world
    trans: np.ndarray  # [F,3]
    joints: np.ndarray  # [F,24,3] in the world


@pytest.fixture(scope="session")
def person(rendered, open_body):
    images, truths, camera = rendered
    images, truths = images[:FRAMES], truths[:FRAMES]
    rng = np.random.default_rng(3)
    extrinsics, poses, trans, joints = np.tile(np.eye(4), (FRAMES, 1, 1)), [], [], []
    for i, truth in enumerate(truths):
        R = matrix_from_axis_angle(np.array([0.3, 1.0, -0.2]) + 0.01 * rng.normal(size=3))
        t = np.array([0.2, -0.1, 0.3]) + 0.01 * rng.normal(size=3)
        extrinsics[i, :3, :3], extrinsics[i, :3, 3] = R, t
        pelvis = open_body.rest_joints(truth.betas)[0]
        orient = axis_angle_from_matrix(R.T @ matrix_from_axis_angle(truth.global_orient))
        poses.append(np.r_[orient, truth.body_pose])
        trans.append(R.T @ (truth.transl + pelvis - t) - pelvis)
        joints.append((truth.joints - t) @ R)
    return Person(images, truths, camera.K, extrinsics, np.array(poses), np.array(trans), np.array(joints))


@pytest.fixture(scope="session")
def smpl_folder(open_body, tmp_path_factory):
    """Male and neutral are the open body, female is larger; with the regressor of Human3.6M's joints."""
    folder = tmp_path_factory.mktemp("smpl")
    arrays = {
        "v_template": open_body.v_template, "shapedirs": open_body.shapedirs, "J_regressor": open_body.J_regressor,
        "weights": open_body.weights, "f": open_body.faces,
    }  # fmt: skip
    for name, scale in (
        ("SMPL_MALE", 1.0), ("basicmodel_f_lbs_10_207_0_v1.1.0", 1.1), ("SMPL_NEUTRAL", 1.0),
    ):  # fmt: skip
        content = arrays | {"v_template": scale * open_body.v_template}
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    weights = open_body.J_regressor[[SMPL[name] for name in H36M]].copy()
    weights[10] = 0.0
    weights[10, open_body.v_template[:, 1].argmax()] = 1.0  # the top of the head
    np.save(folder / "J_regressor_h36m.npy", weights)
    return folder


def write_images(folder: Path, names, images):
    folder.mkdir(parents=True)
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(str(folder / name), image)


def threedpw_content(person):
    """As 3DPW pickles it: she, and a woman who is never in the image; the last frame's camera pose is not valid."""
    valid = np.ones(FRAMES, bool)
    valid[-1] = False
    extrinsics = person.extrinsics.copy()
    extrinsics[-1] = np.nan
    aside = person.extrinsics[:, :3, :3].transpose(0, 2, 1) @ np.array([1.5, 0.0, 0.0])
    return {
        "sequence": "downtown_fake_00", "genders": ["m", "f"], "cam_intrinsics": person.K, "cam_poses": extrinsics,
        "poses": [person.poses] * 2, "trans": [person.trans, person.trans + aside],
        "betas": [person.truths[0].betas] * 2, "campose_valid": [valid, valid.astype(int)],
        "jointPositions": [person.joints.reshape(FRAMES, 72), (person.joints + aside[:, None]).reshape(FRAMES, 72)],
        "img_frame_ids": np.arange(FRAMES),
    }  # fmt: skip


@pytest.fixture
def threedpw_folder(person, tmp_path):
    folder = tmp_path / "3DPW"
    write_images(folder / "imageFiles/downtown_fake_00", [f"image_{i:05d}.jpg" for i in range(FRAMES)], person.images)
    (folder / "sequenceFiles/test").mkdir(parents=True)
    content = pickle.dumps(threedpw_content(person), protocol=2)
    (folder / "sequenceFiles/test/downtown_fake_00.pkl").write_bytes(content)
    return folder


def emdb_content(person, *, first=True):
    """As EMDB pickles it; the person is out of view in frame 2."""
    good = np.arange(FRAMES) != 2
    return {
        "gender": "male", "name": "P0_01_fake", "emdb1": np.bool_(first), "emdb2": not first, "n_frames": FRAMES,
        "good_frames_mask": good, "kp2d": np.array([t.joints_2d for t in person.truths]),
        "camera": {"intrinsics": person.K, "extrinsics": person.extrinsics, "width": 480, "height": 360},
        "smpl": {
            "poses_root": person.poses[:, :3], "poses_body": person.poses[:, 3:], "trans": person.trans,
            "betas": person.truths[0].betas,
        },
        "bboxes": {"bboxes": np.zeros((FRAMES, 4)), "invalid_idxs": np.array([2])},
    }  # fmt: skip


@pytest.fixture
def emdb_folder(person, tmp_path):
    folder = tmp_path / "EMDB"
    for name, first in (("01_fake", True), ("02_other", False)):
        write_images(folder / "P0" / name / "images", [f"{i:05d}.jpg" for i in range(FRAMES)], person.images)
        (folder / "P0" / name / f"P0_{name}_data.pkl").write_bytes(pickle.dumps(emdb_content(person, first=first)))
    return folder


@pytest.fixture
def h36m_folder(person, smpl_folder, open_body, tmp_path):
    """As SPIN prepares it: the frontal camera, and a row of another one; rows not in the order of time."""
    folder = tmp_path / "h36m"
    names = [f"S9_Directions_1.60457274_{5 * i + 1:06d}.jpg" for i in range(FRAMES)]
    seen_by = H36M_K @ np.linalg.inv(person.K)  # pixels of the rendering -> pixels of Human3.6M's camera
    write_images(folder / "images", names, [cv2.warpAffine(i, seen_by[:2], (1000, 1002)) for i in person.images])
    weights = np.load(smpl_folder / "J_regressor_h36m.npy")
    S = np.zeros((FRAMES, 24, 4))
    for i, truth in enumerate(person.truths):
        joints = weights @ truth.vertices
        S[i, [*range(14), 14], :3] = np.concatenate([joints[list(LSP)], joints[:1]]) - joints[0]
        S[i, :15, 3] = 1
    flat = np.array([project(t.joints, H36M_K) for t in person.truths])
    low, high = flat.min(1), flat.max(1)
    order = np.r_[np.arange(FRAMES)[::-1], 0]
    images = np.array([f"images/{n}" for n in names])[order]
    images[-1] = "images/S9_Directions_1.54138969_000001.jpg"
    np.savez(
        folder / "h36m_valid_protocol1.npz", imgname=images, S=S[order], center=((low + high) / 2)[order],
        scale=(0.9 * (high - low).max(1) / 200)[order],
    )  # fmt: skip
    return folder


@pytest.fixture
def true_results(person):
    """path, body's name -> the truth as a humans.npz; `arrays` change it."""

    def save(path, body_model="smpl:SMPL_NEUTRAL", **arrays):
        path.parent.mkdir(parents=True, exist_ok=True)
        truths = {
            name: np.array([getattr(t, name) for t in person.truths])
            for name in ("global_orient", "body_pose", "betas", "transl", "joints", "joints_2d")
        }
        frames = np.arange(FRAMES)
        given = truths | {"frame": frames, "stamp_ns": frames * 33_333_333, "track_id": 0 * frames} | arrays
        save_arrays(path, K=person.K, body_model=np.array(body_model), **given)
        return path

    return save
