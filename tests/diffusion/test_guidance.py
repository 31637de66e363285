"""Guidance: written-out gradients against autograd, and what the losses must not care about."""

import pytest
import torch

from hmr_ros.diffusion.guidance import (
    evidence_loss,
    keypoint_loss,
    multiview_loss,
    steady_loss,
    stopped,
    temporal_loss,
)
from hmr_ros.diffusion.skeleton import Skeleton, gradient_6d, rotations_from_6d, to_6d
from hmr_ros.networks.kinematics import kinematics


def poses(*shape):
    return torch.randn(*shape, 144, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def agrees(loss, *inputs):
    """`loss` returns value and gradients for `inputs`; autograd must find the same."""
    leaves = [i.clone().requires_grad_() for i in inputs]
    value, *written = loss(*leaves)
    found = torch.autograd.grad(value.sum(), leaves)
    for a, b in zip(written, found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-7)


def test_6d_round_trip_and_gradient():
    x = poses(5)
    R = rotations_from_6d(x)
    torch.testing.assert_close(R.transpose(-1, -2) @ R, torch.eye(3, dtype=x.dtype).expand_as(R))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones_like(R[..., 0, 0]))
    torch.testing.assert_close(rotations_from_6d(to_6d(R)), R)
    weight = torch.randn_like(R)
    agrees(lambda v: ((rotations_from_6d(v) * weight).sum((-1, -2, -3)), gradient_6d(v, weight)), x)


def test_skeleton_is_forward_kinematics_with_its_gradient():
    R = rotations_from_6d(poses(4))
    rest = torch.randn(4, 24, 3, dtype=torch.float64)
    parents = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
    skeleton = Skeleton(rest - rest[:, parents])
    placed = kinematics(R, rest)[1]
    torch.testing.assert_close(skeleton.pose(R).joints, placed - placed[:, :1])
    weight = torch.randn_like(rest)

    def loss(r):
        posed = skeleton.pose(r)
        return (posed.joints * weight).sum((-1, -2)), skeleton.gradient(posed, r, weight)

    agrees(loss, R)


def test_keypoint_gradient():
    joints, pelvis = torch.randn(3, 12, 3, dtype=torch.float64), torch.tensor([[0.1, -0.2, 4.0]] * 3).double()
    rays, weights = 0.1 * torch.randn(3, 12, 2).double(), torch.rand(3, 12).double()
    agrees(lambda j, p: keypoint_loss(j, p, rays, weights, 0.1), joints, pelvis)
    none = keypoint_loss(joints, pelvis, rays, 0 * weights, 0.1)
    assert all((part == 0).all() for part in none)


def test_far_key_points_lose_their_pull():
    joints, pelvis = torch.zeros(1, 1, 3).double(), torch.tensor([[0.0, 0.0, 1.0]]).double()
    pull = [
        keypoint_loss(joints, pelvis, torch.tensor([[[d, 0.0]]]).double(), torch.ones(1, 1).double(), 0.1)[1].norm()
        for d in (0.05, 1.0)
    ]
    assert pull[1] < 0.1 * pull[0]


@pytest.mark.parametrize("loss", [temporal_loss, steady_loss])
def test_temporal_gradients(loss):
    seconds = torch.rand(2, 6, dtype=torch.float64) * 0.05 + 0.02
    agrees(lambda x: loss(x, seconds), poses(2, 7))
    still = poses(2, 1).expand(-1, 7, -1)
    assert loss(still, seconds)[0].abs().max() == 0


def test_steady_motion_is_free_at_any_stamps():
    seconds = torch.tensor([0.03, 0.05, 0.02, 0.1, 0.04], dtype=torch.float64)
    time = torch.cat([torch.zeros(1).double(), seconds.cumsum(0)])
    x = time[:, None] * poses()[None]
    assert steady_loss(x, seconds)[0] < 1e-20
    assert temporal_loss(x, seconds)[0] > 0.1


def test_multiview_gradient_and_agreement():
    R = rotations_from_6d(poses(3))[:, 0]
    agrees(lambda x: multiview_loss(x, R), poses(3, 5))
    agrees(multiview_loss, poses(3, 5))
    one = poses()
    world = rotations_from_6d(one)
    views = torch.stack([to_6d(torch.cat([(r.T @ world[0])[None], world[1:]])) for r in R])
    assert multiview_loss(views, R)[0] < 1e-20
    assert multiview_loss(views)[0] < 1e-20


def test_evidence_gradient():
    sigma = torch.rand(2, 5, 24, dtype=torch.float64) + 0.1
    agrees(lambda x: evidence_loss(x, poses(2, 5) * 0.5, sigma), poses(2, 5))


def test_stop_rule():
    assert stopped(torch.tensor([5.0, 5.0]), torch.tensor([5.00001, 5.1])).tolist() == [True, False]
