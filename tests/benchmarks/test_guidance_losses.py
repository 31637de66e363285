"""ScoreHMR's guidance: written-out gradients against autograd, and what guidance must not change."""

import torch
from guidance_losses import (
    gradient_6d,
    guided,
    guided_sample,
    keypoint_loss,
    kinematics_gradient,
    temporal_loss,
)

from hmr_ros.diffusion.sampler import predicted_x0, sample
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d

PARENTS = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
DOWN = [50, 40, 30, 20, 10, 0]


def poses(*shape):
    return torch.randn(*shape, 144, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def denoise(x, t):
    return 0.3 * x + 0.001 * t


def agrees(loss, *inputs):
    """`loss` returns value and gradients for `inputs`; autograd must find the same."""
    leaves = [i.clone().requires_grad_() for i in inputs]
    value, *written = loss(*leaves)
    found = torch.autograd.grad(value.sum(), leaves)
    for a, b in zip(written, found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-7)


def test_6d_gradient():
    x, weight = poses(5), torch.randn(5, 24, 3, 3, dtype=torch.float64)
    agrees(lambda v: ((rotations_from_6d(v) * weight).sum((-1, -2, -3)), gradient_6d(v, weight)), x)


def test_gradient_of_forward_kinematics_in_6d():
    rest, weight = (torch.randn(4, 24, 3, dtype=torch.float64) for _ in range(2))
    skeleton = Skeleton(rest - rest[:, PARENTS])

    def loss(x):
        posed = skeleton.pose(rotations_from_6d(x))
        return (posed.joints * weight).sum((-1, -2)), gradient_6d(x, kinematics_gradient(posed, weight))

    agrees(loss, poses(4))


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


def test_temporal_gradient():
    seconds = torch.rand(2, 6, dtype=torch.float64) * 0.05 + 0.02
    agrees(lambda x: temporal_loss(x, seconds), poses(2, 7))
    still = poses(2, 1).expand(-1, 7, -1)
    assert temporal_loss(still, seconds)[0].abs().max() == 0


def test_zero_guidance_changes_nothing():
    x = torch.randn(8, 144).double()
    torch.testing.assert_close(guided_sample(x, denoise, DOWN, torch.zeros_like), sample(x, denoise, DOWN))


def test_guidance_lowers_its_loss():
    x, goal = torch.randn(8, 144).double(), torch.randn(8, 144).double()
    before, noise = predicted_x0(x, denoise(x, 50), 50), denoise(x, 50)
    after, changed = guided(x, noise, 50, lambda x0: 0.5 * (x0 - goal))
    assert (after - goal).norm() < (before - goal).norm()
    torch.testing.assert_close(predicted_x0(x, changed, 50), after)
