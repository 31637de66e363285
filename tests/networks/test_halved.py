"""Which layers go to float16."""

import torch
from torch import nn

from hmr_ros.networks.halved import HalfLinear, halved


def test_large_layers_that_matter_little_go_to_float16():
    """By what each does alone, as long as all together stay at half of what is allowed."""
    module = nn.Sequential(nn.Linear(256, 256), nn.Linear(256, 256), nn.Linear(256, 256), nn.Linear(256, 8))
    costs = [0.4, 0.2, 0.4, 0.0]

    def error(candidate):
        return sum(cost for cost, layer in zip(costs, candidate, strict=True) if isinstance(layer, HalfLinear))

    made = halved(module, error)
    assert [isinstance(layer, HalfLinear) for layer in made] == [True, True, False, False]  # 0.4^2 + 0.2^2 < 0.5^2
    assert not any(isinstance(layer, HalfLinear) for layer in module)
    x = torch.randn(5, 256)
    assert 0 < (made(x) - module(x)).abs().max() < 1e-2
    assert not any(isinstance(layer, HalfLinear) for layer in halved(module, lambda _: float("nan")))


def test_what_float16_does_not_hold_stays():
    module = nn.Sequential(nn.Linear(256, 256), nn.Linear(256, 256))
    with torch.no_grad():
        module[0].weight[0, 0] = 1e5
    made = halved(module, lambda _: 0.0)
    assert [isinstance(layer, HalfLinear) for layer in made] == [False, True]
    assert torch.isfinite(made[1](1e6 * torch.eye(256))).all()  # inputs beyond float16 are its largest number
