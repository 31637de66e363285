"""Rotations from six numbers are rotations, and the skeleton is the body's forward kinematics."""

import torch

from hmr_ros.diffusion.skeleton import Skeleton, cross, rotations_from_6d, to_6d
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
    world, placed = kinematics(R, rest)
    posed = Skeleton(rest - rest[:, PARENTS]).pose(R)
    torch.testing.assert_close(posed.joints, placed - placed[:, :1])
    torch.testing.assert_close(posed.world, world)
    torch.testing.assert_close(posed.above[:, 1:], world[:, PARENTS[1:]])
    torch.testing.assert_close(posed.above[:, 0], torch.eye(3, dtype=R.dtype).expand(4, 3, 3))


def test_axes_around_turn_everything():
    R, rest = rotations_from_6d(poses(4)), torch.randn(4, 24, 3, dtype=torch.float64)
    around = rotations_from_6d(poses(4).flip(-1))[:, 5]
    skeleton = Skeleton(rest - rest[:, PARENTS])
    alone, turned = skeleton.pose(R), skeleton.pose(R, around)
    torch.testing.assert_close(turned.joints, alone.joints @ around.transpose(1, 2))
    torch.testing.assert_close(turned.world, around[:, None] @ alone.world)
    torch.testing.assert_close(turned.above, around[:, None] @ alone.above)


def test_cross_product():
    a, b = torch.randn(5, 7, 3, dtype=torch.float64), torch.randn(5, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(cross(a, b), torch.linalg.cross(a, b))
