"""What the shipped open body promises."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hmr_ros.body import open_body as compact
from hmr_ros.body.joints import SMPL, SMPL_JOINTS
from hmr_ros.body.loading import load_body

MIRROR = np.array([SMPL[n.replace("left", "?").replace("right", "left").replace("?", "right")]
                   for n in SMPL_JOINTS])  # fmt: skip
ASSET = Path(str(files("hmr_ros") / "assets" / "open_body.npz"))


def edges_of(faces):
    return np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0, return_counts=True)


def test_counts_are_smpls(open_body):
    assert open_body.name == "open"
    assert open_body.v_template.shape == (6890, 3)
    assert open_body.faces.shape == (13776, 3)


def test_surface_is_closed_without_holes_and_faces_outwards(open_body):
    edges, uses = edges_of(open_body.faces)
    assert set(uses) == {2}
    assert len(open_body.v_template) - len(edges) + len(open_body.faces) == 2
    a, b, c = (open_body.v_template[open_body.faces[:, k]] for k in range(3))
    volume = np.sum(a * np.cross(b, c)) / 6
    assert 0.05 < volume < 0.10  # m3, an adult


def test_rows_sum_to_one(open_body):
    np.testing.assert_allclose(open_body.weights.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(open_body.J_regressor.sum(1), 1, atol=1e-9)
    assert open_body.weights.min() >= 0


def test_left_and_right_joints_mirror(open_body):
    joints = open_body.rest_joints(np.zeros(10))
    np.testing.assert_allclose(joints[MIRROR] * [-1, 1, 1], joints, atol=1e-3)
    assert joints[SMPL["left_hip"], 0] > 0


def test_thighs_are_as_long_as_shins_as_peoples_are(open_body):
    rng = np.random.default_rng(0)
    joints = open_body.rest_joints(np.concatenate([np.zeros((1, 10)), rng.normal(size=(200, 10))]))
    thigh, shin = (
        np.linalg.norm(joints[:, SMPL[f"left_{a}"]] - joints[:, SMPL[f"left_{b}"]], axis=-1)
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    )
    assert thigh[0] / shin[0] == pytest.approx(0.245 / 0.246, abs=0.02)  # Winter's shares of the height
    assert np.mean(thigh / shin) == pytest.approx(0.245 / 0.246, abs=0.03)


def test_rest_pose_is_smpls_tpose(open_body):
    joints = open_body.rest_joints(np.zeros(10))
    np.testing.assert_allclose(joints[0], 0, atol=1e-3)
    arm = joints[SMPL["left_wrist"]] - joints[SMPL["left_shoulder"]]
    assert arm[0] > 0.4
    assert np.abs(arm[1:]).max() < 0.05
    assert joints[SMPL["left_foot"], 2] > joints[SMPL["left_ankle"], 2]  # toes to the front
    assert joints[SMPL["head"], 1] > joints[SMPL["neck"], 1] > joints[SMPL["pelvis"], 1]


def test_statures_are_those_of_adults(open_body):
    def stature(beta0):
        betas = np.array([beta0, *[0.0] * 9])
        return np.ptp((open_body.v_template + open_body.shapedirs @ betas)[:, 1])

    statures = [stature(b) for b in (-2, 0, 2)]
    assert 1.45 < statures[0] < statures[1] < statures[2] < 1.95
    assert 1.6 < statures[1] < 1.75


def pose(**joints):
    out = np.zeros((24, 3))
    for name, axis_angle in joints.items():
        out[SMPL[name]] = axis_angle
    return out[1:].reshape(-1)


MODERATE_POSES = {
    "arms_down": pose(left_shoulder=(0, 0, -1.2), right_shoulder=(0, 0, 1.2)),
    "arms_up": pose(left_shoulder=(0, 0, 1.3), right_shoulder=(0, 0, -1.3)),
    "sitting": pose(left_hip=(-1.5, 0, 0), right_hip=(-1.5, 0, 0), left_knee=(1.5, 0, 0), right_knee=(1.5, 0, 0)),
    "walking": pose(left_hip=(-0.5, 0, 0), right_hip=(0.4, 0, 0), right_knee=(0.6, 0, 0), left_elbow=(0, -0.5, 0)),
    **{f"random{seed}": 0.2 * np.random.default_rng(seed).normal(size=69) for seed in range(5)},
}


@pytest.mark.parametrize("name", MODERATE_POSES)
def test_moderate_poses_do_not_tear(open_body, name):
    edges, _ = edges_of(open_body.faces)

    def lengths(v):
        return np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1)

    rest = lengths(open_body.v_template)
    posed = lengths(open_body.vertices(np.zeros(3), MODERATE_POSES[name], np.zeros(10), np.zeros(3)))
    assert (posed - rest).max() < 0.05  # m; armpits and buttocks stretch most
    assert np.percentile(posed / rest, 99) < 1.5


def test_compact_file_round_trip(open_body, tmp_path):
    compact.save(open_body, tmp_path / "body.npz")
    with np.load(tmp_path / "body.npz") as file:
        assert set(file.files) == set(compact.KEYS)
        again = compact.unpack(dict(file))
    np.testing.assert_allclose(again.v_template, open_body.v_template, atol=1e-7)
    np.testing.assert_allclose(again.weights, open_body.weights, atol=1e-3)
    np.testing.assert_allclose(again.J_regressor, open_body.J_regressor, atol=1e-5)
    np.testing.assert_array_equal(again.shapedirs, open_body.shapedirs)


def test_empty_path_means_the_open_body():
    assert load_body("") is load_body(None)


def test_asset_is_small():
    assert ASSET.stat().st_size < 1_000_000
