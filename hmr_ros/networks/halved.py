"""A network whose large products run in float16 and everything else in float32, by the types of its tensors alone.

For engines without precision flags (TensorRT 11, and 10 with strong typing): each cast is a node of the graph.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST = 65504.0  # that float16 holds


class HalfLinear(nn.Linear):
    """A linear layer in float16 between float32 neighbours."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.linear(_half(x), self.weight.half(), _bias(self.bias)).float()


class HalfConv2d(nn.Conv2d):
    """A convolution in float16 between float32 neighbours."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self._conv_forward(_half(x), self.weight.half(), _bias(self.bias)).float()


_HALVES: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: HalfLinear, nn.Conv2d: HalfConv2d}


def halved(module: nn.Module) -> nn.Module:
    """A copy of `module` in evaluation mode with its linear layers and convolutions in float16.

    LayerNorm, activations, sums, softmax, exponentials and everything that is not a layer with weights stay float32,
    and so does a layer with a weight that float16 does not hold.
    """
    made = copy.deepcopy(module).eval()
    for layer in made.modules():
        half = _HALVES.get(type(layer))
        if half is not None and all(_fits(p) for p in layer.parameters(recurse=False)):
            layer.__class__ = half  # the same weights, which may be read by others too
    return made


def _fits(weights: Tensor) -> bool:
    return bool((weights.abs() < _LARGEST).all())


def _half(x: Tensor) -> Tensor:
    """What float16 does not hold becomes its largest number rather than infinity."""
    return x.clamp(-_LARGEST, _LARGEST).to(torch.float16)


def _bias(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.half()
