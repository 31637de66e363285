"""Laws of the mesh-to-posture decoder."""

import pytest
import torch

from hmr_ros.methods.posturehmr.m2p import M2P, M2PSize


def inputs(count, bare=0):
    torch.manual_seed(1)
    condition = torch.randn(count, bare) if bare else torch.randn(count, 81, 6)
    return torch.randn(count, 81, 3), condition, torch.zeros(count), torch.ones(count), torch.zeros(count)


def test_an_untrained_decoder_leaves_the_mesh_alone():
    change, log_sigma = M2P(M2PSize(), torch.eye(81))(*inputs(2))
    assert (change == 0).all()
    assert (log_sigma == 0).all()


@pytest.mark.parametrize("bare", [0, 198])
def test_people_do_not_touch_each_other_and_steps_matter(bare):
    net = M2P(M2PSize(bare_landmarks=bare), torch.eye(81)).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    x, condition, scale, t, s = inputs(5, bare)
    whole, _ = net(x, condition, scale, t, s)
    part, _ = net(x[[3, 0]], condition[[3, 0]], scale[:2], t[:2], s[:2])
    torch.testing.assert_close(whole[[3, 0]], part, atol=1e-4, rtol=1e-4)
    assert (net(x, condition, scale, t, s + 0.5)[0] - whole).abs().max() > 1e-3
    assert (net(x, condition, scale, t - 0.5, s)[0] - whole).abs().max() > 1e-3
