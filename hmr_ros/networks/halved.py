"""A network whose large products run in float16 where that is safe, and all else in float32, by types of tensors alone.

For engines without precision flags (TensorRT 11, and 10 with strong typing): each cast is a node of the graph.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST = 65504.0  # that float16 holds
_LEAST_WEIGHTS = 1 << 16  # smaller layers are as fast in float32, and there are many of them
_SHARE = 0.5  # of the error that is allowed


class HalfLinear(nn.Linear):
    """A linear layer in float16 between float32 neighbours."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.linear(_half(x), self.weight.half(), _bias(self.bias)).float()


class HalfConv2d(nn.Conv2d):
    """A convolution in float16 between float32 neighbours."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self._conv_forward(_half(x), self.weight.half(), _bias(self.bias)).float()


_HALVES: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: HalfLinear, nn.Conv2d: HalfConv2d}


def halved(module: nn.Module, error: Callable[[nn.Module], float]) -> nn.Module:
    """A copy of `module` in evaluation mode with its large linear layers and convolutions in float16, where it is safe.

    `error`: how far a module's answers are from those of `module`, 1 where they are as far as they may be. Each layer
    is tried by itself; those that matter least are taken as long as all together, as if their errors were independent,
    stay at half of that. Small layers cost no time and stay float32, and so do LayerNorm, activations, sums, softmax,
    exponentials, solvers, whatever is no layer with weights, and layers with a weight that float16 does not hold.
    """
    made = copy.deepcopy(module).eval()
    candidates = [m for m in made.modules() if type(m) in _HALVES and _worth(m)]
    found = []
    for i, layer in enumerate(candidates):
        kind = type(layer)
        layer.__class__ = _HALVES[kind]  # the same weights, which may be read by others too
        found.append((error(made), i))
        layer.__class__ = kind
    total = 0.0
    for alone, i in sorted(found):
        total += alone**2
        if not total <= _SHARE**2:
            break
        candidates[i].__class__ = _HALVES[type(candidates[i])]
    return made


def _worth(layer: nn.Module) -> bool:
    weights = layer.get_parameter("weight")
    return weights.numel() >= _LEAST_WEIGHTS and all(_fits(p) for p in layer.parameters(recurse=False))


def _fits(weights: Tensor) -> bool:
    return bool((weights.abs() < _LARGEST).all())


def _half(x: Tensor) -> Tensor:
    """What float16 does not hold becomes its largest number rather than infinity."""
    return x.clamp(-_LARGEST, _LARGEST).to(torch.float16)


def _bias(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.half()
