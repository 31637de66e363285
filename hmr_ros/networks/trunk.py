"""The later half of BlazePose's landmark network `full` in torch: from its 32x32x32 map to its last features.

Layer for layer the published one (batch norms folded into the convolutions), so that its weights are a start.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MAP_SIZE = (32, 32, 32)  # rows, columns, channels of the map that the trunk begins with
FEATURES = 2 * 2 * 288
# width, widened to, kernel, width behind, stride; as wide behind as before: added to what went in
_MOBILE = (
    (32, 192, 3, 64, 2), (64, 384, 3, 64, 1), (64, 384, 3, 64, 1), (64, 384, 5, 88, 1), (88, 528, 5, 88, 1),
    (88, 528, 5, 88, 1), (88, 528, 5, 144, 2), (144, 864, 5, 144, 1), (144, 864, 5, 144, 1), (144, 864, 5, 144, 1),
)  # fmt: skip
_WIDE, _NARROW = 864, 288
_POOLED = (2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1)  # strides of the last blocks


class Trunk(nn.Module):
    """[B,32,32,32] (channels first) -> [B,1152]."""

    def __init__(self) -> None:
        super().__init__()
        self.mobile = nn.ModuleList(_MobileBlock(*size) for size in _MOBILE)
        self.widen = nn.Conv2d(_MOBILE[-1][3], _WIDE, 1)
        self.depthwise = nn.ModuleList(_DepthwiseConv(_WIDE, 3) for _ in range(2))
        self.narrow = nn.Conv2d(_WIDE, _NARROW, 1)
        self.pooled = nn.ModuleList(_PooledBlock(_NARROW, stride) for stride in _POOLED)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for block in self.mobile:
            x = block(x)
        x = functional.relu6(self.widen(x))
        for layer in self.depthwise:
            x = functional.relu6(layer(x))
        x = functional.relu6(self.narrow(x))
        for block in self.pooled:
            x = block(x)
        return x.flatten(1)

    def convolutions(self) -> list[nn.Conv2d]:
        """In the order in which they are computed."""
        return [m for m in self.modules() if isinstance(m, nn.Conv2d)]


class _DepthwiseConv(nn.Conv2d):
    """One filter a channel. Its weights do not learn: what they say of an image is general, and costs most to train."""

    def __init__(self, width: int, kernel: int, stride: int = 1, padding: int | None = None) -> None:
        super().__init__(width, width, kernel, stride, kernel // 2 if padding is None else padding, groups=width)
        self.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.stride == (1, 1) and x.device.type == "cpu" and self.bias is not None:
            learned: Tensor = _Depthwise.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return learned
        return super().forward(x)


class _MobileBlock(nn.Module):
    """Widen, depthwise, narrow, add (MobileNetV2)."""

    def __init__(self, width: int, wide: int, kernel: int, out: int, stride: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(width, wide, 1)
        self.depthwise = _DepthwiseConv(wide, kernel, stride)
        self.narrow = nn.Conv2d(wide, out, 1)
        self._adds = width == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(functional.relu6(self.depthwise(functional.relu6(self.widen(x)))))
        return x + y if self._adds else y


class _PooledBlock(nn.Module):
    """Depthwise, mix, add (BlazeBlock); where it halves the map, the largest of four is what it adds to."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self._stride = stride
        self.depthwise = _DepthwiseConv(width, 3, stride, 1 if stride == 1 else 0)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self._stride == 1:
            return functional.relu6(x + self._mixed(x))
        padded = functional.pad(x, (0, 1, 0, 1))  # TensorFlow's "same" of an even side: all at the far end
        return functional.relu6(functional.max_pool2d(x, 2) + self._mixed(padded))

    def _mixed(self, x: Tensor) -> Tensor:
        y: Tensor = self.mix(functional.relu6(self.depthwise(x)))
        return y


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of stride 1 whose gradient is one too: 2.5 times as fast on a CPU as torch's own."""

    @staticmethod
    def forward(ctx, x, weight, bias):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(weight)
        return functional.conv2d(x, weight, bias, 1, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (weight,) = ctx.saved_tensors
        given = functional.conv2d(gradient, weight.flip(2, 3), None, 1, weight.shape[-1] // 2, 1, len(weight))
        return given, None, gradient.sum((0, 2, 3))
