"""A conditional denoiser of a vector: residual blocks that noise level and condition shift."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hmr_ros.diffusion.schedule import STEPS

# The loss d / s + log s of the norm d of a joint's six errors makes s its expectation. Standard deviation a number of a
# Laplace distribution with that expectation, in units of s:
AXIS_6D = math.sqrt(7.0) / 6.0


class Denoiser(nn.Module):
    """f(x_t, t, context) [B,D]. The condition's share of every block is computed once a frame, not once a step."""

    def __init__(self, numbers: int, context: int, width: int, blocks: int) -> None:
        super().__init__()
        self.width, self.count = width, blocks
        self.enter = nn.Linear(numbers, width)
        self.time = nn.Sequential(nn.Linear(64, 2 * width), nn.SiLU(), nn.Linear(2 * width, blocks * 2 * width))
        self.condition = nn.Linear(context, blocks * width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, numbers)

    def conditioning(self, context: Tensor) -> Tensor:
        """[B,C] -> [B,blocks*width]."""
        shares: Tensor = self.condition(context)
        return shares

    def forward(self, x_t: Tensor, t: Tensor, conditioning: Tensor) -> Tensor:
        """`x_t` [B,D], `t` [B] in 0..1000, `conditioning` [B,blocks*width]."""
        return self.at(x_t, self.times(t), conditioning)

    def times(self, t: Tensor) -> Tensor:
        """What the blocks need to know of `t` [B]: [B,blocks,2,width]; the same for every vector of a step."""
        return torch.as_tensor(self.time(sinusoid(t / STEPS)).reshape(-1, self.count, 2, self.width))

    def at(self, x_t: Tensor, times: Tensor, conditioning: Tensor) -> Tensor:
        """Like `forward` with the answer of `times`, [B,...] or [1,...]."""
        shares = conditioning.reshape(-1, self.count, self.width)
        h = self.enter(x_t)
        for i, block in enumerate(self.blocks):
            h = block(h, times[:, i, 0], times[:, i, 1], shares[:, i])
        noise: Tensor = self.leave(self.norm(h))
        return noise


class Residual(nn.Module):
    """x + MLP(norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B,W] -> [B,W]."""
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


class _Block(nn.Module):
    """Scale and shift by time, add the condition's share, feed forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor, conditioning: Tensor) -> Tensor:
        h = self.norm(x) * (1 + scale) + shift + conditioning
        return x + self.down(nn.functional.gelu(self.up(h)))


def sinusoid(t: Tensor) -> Tensor:
    """[B] in 0..1 -> [B,64]."""
    frequencies = torch.exp(torch.arange(32, device=t.device) * (math.log(1000.0) / 31))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def step_embedding(t: Tensor, channels: int) -> Tensor:
    """[B] in 0..1 -> [B,channels], for few steps: no frequency above those that tell ten of them apart."""
    half = (channels + 1) // 2
    frequencies = torch.exp(torch.arange(half, device=t.device) * (-math.log(100.0) / (half - 1))) * 10.0
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :channels]
