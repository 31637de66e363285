"""HRNet (Sun et al., CVPR 2019): branches of several resolutions side by side that keep exchanging what they see.

PostureHMR's backbone is the one of width 48 as it is used for body poses: stages of 1, 4 and 3 modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

_BLOCKS = 4  # residual blocks a branch has in each module
_STEM = 64
_EXPANSION = 4


@dataclass(frozen=True)
class HRNetSize:
    """`width` channels at a quarter of the image's size, twice as many at each further halving."""

    width: int = 48
    modules: tuple[int, int, int] = (1, 4, 3)  # of the stages with 2, 3 and 4 branches


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] -> [B,C,h,w]."""
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a short cut; four times as many channels come out as are looked at."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        outputs = channels * _EXPANSION
        self.body = nn.Sequential(
            _conv(inputs, channels, 1), nn.ReLU(), _conv(channels, channels), nn.ReLU(), _conv(channels, outputs, 1)
        )
        self.short = nn.Identity() if inputs == outputs else _conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B,inputs,h,w] -> [B,4*channels,h,w]."""
        return functional.relu(self.short(x) + self.body(x))


class Exchange(nn.Module):
    """Residual blocks on every branch; then each of the first `outputs` branches receives the sum of all."""

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(w) for _ in range(_BLOCKS))) for w in widths)
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in range(len(widths))) for target in range(outputs)
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """[B,C_i,h/2^i,w/2^i] a branch -> the same for the first `outputs` branches."""
        seen = [net(x) for net, x in zip(self.branches, branches, strict=True)]
        mixed = []
        for i, target in enumerate(self.paths):
            assert isinstance(target, nn.ModuleList)
            parts = [path(x) for path, x in zip(target, seen, strict=True)]
            total = parts[i]
            for j, part in enumerate(parts):
                if j != i:
                    total = total + (functional.interpolate(part, scale_factor=2 ** (j - i)) if j > i else part)
            mixed.append(functional.relu(total))
        return mixed


def _path(widths: list[int], source: int, target: int) -> nn.Module:
    """From one branch to another: 1x1 before up-sampling, strided 3x3 on the way down."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv(widths[source], widths[target], 1)
    steps: list[nn.Module] = []
    for _ in range(target - source - 1):
        steps += [_conv(widths[source], widths[source], stride=2), nn.ReLU()]
    return nn.Sequential(*steps, _conv(widths[source], widths[target], stride=2))


class HRNet(nn.Module):
    """Images [B,3,S,S] -> features [B,width,S/4,S/4]."""

    def __init__(self, size: HRNetSize) -> None:
        super().__init__()
        self.channels = size.width
        widths = [size.width * 2**i for i in range(4)]
        self.stem = nn.Sequential(_conv(3, _STEM, stride=2), nn.ReLU(), _conv(_STEM, _STEM, stride=2), nn.ReLU())
        inputs = (_STEM, *(3 * (_STEM * _EXPANSION,)))
        self.layer = nn.Sequential(*(Bottleneck(n, _STEM) for n in inputs))
        wide = _STEM * _EXPANSION
        # a new branch starts from the coarsest one there is
        self.start = nn.ModuleList([_step(wide, widths[0], 1), _step(wide, widths[1], 2)])
        self.grow = nn.ModuleList(_step(a, b, 2) for a, b in pairwise(widths[1:]))
        self.stages = nn.ModuleList(
            nn.ModuleList(
                Exchange(widths[:branches], 1 if branches == 4 and k + 1 == count else branches) for k in range(count)
            )
            for branches, count in zip((2, 3, 4), size.modules, strict=True)
        )

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,S,S] -> [B,width,S/4,S/4]; S a multiple of 32."""
        x = self.layer(self.stem(image))
        branches = [branch(x) for branch in self.start]
        for i, stage in enumerate(self.stages):
            if i:
                branches = [*branches, self.grow[i - 1](branches[-1])]
            assert isinstance(stage, nn.ModuleList)
            for module in stage:
                branches = module(branches)
        return branches[0]


def _step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, stride=stride), nn.ReLU())
