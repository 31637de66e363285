"""Laws of the 2D mesh network."""

import torch

from hmr_ros.methods.posturehmr.mesh2d import Mesh2D, Mesh2DSize


def network(residual=False):
    torch.manual_seed(0)
    net = Mesh2D(Mesh2DSize(points=40, hidden=32, residual=residual))
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net.eval()


def test_the_carried_mesh_moves_and_grows_with_the_key_points():
    net, points = network(), torch.randn(5, 33, 6)
    moved = points.clone()
    moved[..., :2] = 1.7 * points[..., :2] + torch.tensor([0.3, -0.8])
    a, _, _ = net(points, torch.zeros(5))
    b, _, _ = net(moved, torch.zeros(5))
    torch.testing.assert_close(b, 1.7 * a + torch.tensor([0.3, -0.8]), atol=1e-4, rtol=1e-4)


def test_coefficients_follow_the_confidences():
    net, points = network(), torch.randn(5, 33, 6)
    other = points.clone()
    other[:, 7, 2] += 1.0
    assert (net(points, torch.zeros(5))[0] - net(other, torch.zeros(5))[0]).abs().max() > 1e-3


def test_people_do_not_touch_each_other():
    net, points = network(residual=True), torch.randn(6, 33, 6)
    whole = net(points, torch.zeros(6))
    part = net(points[[4, 1]], torch.zeros(2))
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[[4, 1]], b)
