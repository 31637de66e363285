"""Rotations from six numbers are rotations, and the skeleton is the body's forward kinematics."""

import torch

from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d, to_6d
from hmr_ros.networks.kinematics import kinematics

PARENTS = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]


def poses(*shape):
    return torch.randn(*shape, 144, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_6d_round_trip():
    R = rotations_from_6d(poses(5))
    torch.testing.assert_close(R.transpose(-1, -2) @ R, torch.eye(3, dtype=R.dtype).expand_as(R))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones_like(R[..., 0, 0]))
    torch.testing.assert_close(rotations_from_6d(to_6d(R)), R)


def test_skeleton_is_forward_kinematics():
    R, rest = rotations_from_6d(poses(4)), torch.randn(4, 24, 3, dtype=torch.float64)
    placed = kinematics(R, rest)[1]
    torch.testing.assert_close(Skeleton(rest - rest[:, PARENTS]).pose(R).joints, placed - placed[:, :1])
