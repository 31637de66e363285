"""HRNet: sizes, and that every branch is heard."""

import torch

from hmr_ros.networks.hrnet import HRNet, HRNetSize


def test_a_quarter_of_the_picture_comes_out():
    net = HRNet(HRNetSize(4, (1, 1, 1))).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 3, 64, 96)).shape == (2, 4, 16, 24)


def test_width_48_has_the_parameters_of_the_published_one():
    with torch.device("meta"):
        net = HRNet(HRNetSize(48))
        assert net(torch.empty(1, 3, 256, 256)).shape == (1, 48, 64, 64)
    count = sum(p.numel() for p in net.parameters())
    assert 63.4e6 < count < 63.8e6  # 63.6 M with a head of 17 maps


def test_every_parameter_is_used():
    net = HRNet(HRNetSize(4, (1, 2, 2)))
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_coarsest_branch_sees_far():
    """A pixel answers to what lies further away than the finest branch's own convolutions reach."""
    torch.manual_seed(0)
    net = HRNet(HRNetSize(4, (1, 1, 1))).eval()
    image = torch.zeros(1, 3, 256, 256)
    other = image.clone()
    other[..., 192:, 192:] = 1.0
    with torch.no_grad():
        assert (net(image)[..., 2, 2] - net(other)[..., 2, 2]).abs().max() > 0
