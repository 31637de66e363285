"""The Gauss-Newton step of the key points: it finds small changes, respects what holds, ignores what is not seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.diffusion.reprojection import Seen, keypoint_step, keypoint_turn
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d, to_6d
from hmr_ros.networks.kinematics import matrix_from_axis_angle

LIMBS = SMPL_LIMBS.tolist()
PARENTS = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]


def people(count=3, spread=0.2, seed=0):
    g = torch.Generator().manual_seed(seed)
    rotations = matrix_from_axis_angle(spread * torch.randn(count, 24, 3, generator=g))
    rest = torch.as_tensor(load_body().rest_joints(np.zeros(10)), dtype=torch.float32)[None]
    return rotations, Skeleton(rest - rest[:, PARENTS])


def view(joints, pelvis, weight=200.0, R=None):
    R = torch.eye(3) if R is None else R
    t = torch.tensor([0.1, -0.2, 4.0])
    at = (joints[:, LIMBS] + pelvis[:, None]) @ R.T + t
    N, K = at.shape[:2]
    return Seen(at[..., :2] / at[..., 2:], torch.full((N, K), weight), torch.full((N,), 0.1), R, t)


def error(posed, pelvis, seen):
    at = (posed.joints[:, LIMBS] + pelvis[:, None]) @ seen.R.T + seen.t
    return (at[..., :2] / at[..., 2:] - seen.rays).norm(dim=-1).mean()


def test_two_steps_find_the_key_points_of_another_pose():
    true, skeleton = people()
    start = matrix_from_axis_angle(0.1 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1))) @ true
    pelvis = torch.zeros(3, 3)
    seen = view(skeleton.pose(true).joints, pelvis + 0.05)
    soft = torch.ones(3, 24), torch.ones(3, 3)
    rotations, at = start, pelvis
    before = error(skeleton.pose(start), pelvis, seen)
    for _ in range(2):
        pose, at = keypoint_step(skeleton.pose(rotations), rotations, at, LIMBS, [seen], *soft)
        rotations = rotations_from_6d(pose)
    assert error(skeleton.pose(rotations), at, seen) < 0.05 * before


def measured(seen, joints, pelvis, known, weight=50.0):
    """The same with the true depths of the limb joints `known` [12]."""
    depths = ((joints[:, LIMBS] + pelvis[:, None]) @ seen.R.T + seen.t)[..., 2]
    return replace(seen, depths=depths * known, depth_weights=weight * known.expand_as(depths))


def test_measured_depths_find_what_one_view_leaves_open():
    true, skeleton = people()
    start = matrix_from_axis_angle(0.15 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(2))) @ true
    pelvis, joints = torch.zeros(3, 3), skeleton.pose(true).joints
    off = []
    for known in (torch.zeros(12), torch.ones(12)):
        seen = measured(view(joints, pelvis), joints, pelvis, known)
        rotations, at = start, pelvis
        for _ in range(4):
            step = keypoint_step(skeleton.pose(rotations), rotations, at, LIMBS, [seen], torch.ones(3, 24), pelvis + 1)
            rotations, at = rotations_from_6d(step[0]), step[1]
        off.append((skeleton.pose(rotations).joints + at[:, None] - joints)[:, LIMBS].norm(dim=-1).mean())
    assert off[1] < 0.3 * off[0]


def test_unknown_depths_change_nothing():
    true, skeleton = people()
    start = matrix_from_axis_angle(0.1 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1))) @ true
    pelvis, joints = torch.zeros(3, 3), skeleton.pose(true).joints
    seen = view(joints, pelvis)
    steps = [
        keypoint_step(skeleton.pose(start), start, pelvis, LIMBS, [one], torch.ones(3, 24), pelvis + 1)
        for one in (seen, measured(seen, joints, pelvis, torch.zeros(12)))
    ]
    for plain, empty in zip(*steps, strict=True):
        torch.testing.assert_close(plain, empty, atol=1e-4, rtol=0)


def test_two_views_find_the_depth():
    true, skeleton = people()
    start = matrix_from_axis_angle(0.1 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1))) @ true
    pelvis, joints = torch.zeros(3, 3), skeleton.pose(true).joints
    side = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    views = [view(joints, pelvis), view(joints, pelvis, R=side)]
    rotations, at = start, pelvis
    for _ in range(3):
        pose, at = keypoint_step(skeleton.pose(rotations), rotations, at, LIMBS, views, torch.ones(3, 24), pelvis + 1)
        rotations = rotations_from_6d(pose)
    off = (skeleton.pose(rotations).joints + at[:, None] - joints)[:, LIMBS].norm(dim=-1)
    assert off.mean() < 0.005


def test_what_is_not_seen_changes_nothing():
    rotations, skeleton = people()
    pelvis = torch.zeros(3, 3)
    blind = view(skeleton.pose(rotations).joints + 0.3, pelvis, weight=0.0)
    held = torch.ones(3, 24), torch.ones(3, 3)
    pose, at = keypoint_step(skeleton.pose(rotations), rotations, pelvis, LIMBS, [blind], *held)
    torch.testing.assert_close(pose, to_6d(rotations), atol=1e-6, rtol=0)
    assert at.abs().max() < 1e-6


def test_a_held_joint_stays():
    true, skeleton = people()
    start = matrix_from_axis_angle(torch.full((3, 24, 3), 0.1)) @ true
    stiff = torch.ones(3, 24)
    stiff[:, 16] = 1e9
    seen, pelvis = view(skeleton.pose(true).joints, torch.zeros(3, 3)), torch.zeros(3, 3)
    pose, _ = keypoint_step(skeleton.pose(start), start, pelvis, LIMBS, [seen], stiff, torch.ones(3, 3))
    moved = (pose - to_6d(start)).reshape(3, 24, 6).norm(dim=-1)
    assert moved[:, 16].max() < 1e-4
    assert moved[:, 18].min() > 1e-3


@pytest.mark.parametrize("depths", [False, True])
def test_what_an_export_solves_is_what_the_library_solves(depths, monkeypatch):
    """Two views, one with depths: blocks of joints eliminated by depth in the tree against Cholesky."""
    true, skeleton = people()
    start = matrix_from_axis_angle(0.2 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(4))) @ true
    pelvis, joints = torch.zeros(3, 3), skeleton.pose(true).joints
    side = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    views = [view(joints, pelvis), view(joints, pelvis, R=side)]
    if depths:
        views = [measured(views[0], joints, pelvis, torch.ones(12))]
    args = skeleton.pose(start), start, pelvis, LIMBS, views, torch.full((3, 24), 30.0), pelvis + 20
    expected = keypoint_step(*args)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    for found, wanted in zip(keypoint_step(*args), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_axes_do_not_matter():
    """Poses in axes that are turned to the camera's give the same step, turned."""
    true, skeleton = people()
    start = matrix_from_axis_angle(0.1 * torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1))) @ true
    pelvis, around = torch.zeros(3, 3), matrix_from_axis_angle(torch.full((3, 3), 0.4))
    seen = view(skeleton.pose(true).joints, pelvis)
    there = torch.cat([around.transpose(1, 2)[:, None] @ start[:, :1], start[:, 1:]], 1)
    soft = torch.ones(3, 24), torch.ones(3, 3)
    pose, at = keypoint_turn(skeleton.pose(start), start, pelvis, LIMBS, [seen], *soft)
    turned, also = keypoint_turn(skeleton.pose(there, around), there, pelvis, LIMBS, [seen], *soft)
    torch.testing.assert_close(also, at, atol=5e-5, rtol=0)
    torch.testing.assert_close(around[:, None] @ turned[:, :1], pose[:, :1], atol=5e-5, rtol=0)
    torch.testing.assert_close(turned[:, 1:], pose[:, 1:], atol=5e-5, rtol=0)
