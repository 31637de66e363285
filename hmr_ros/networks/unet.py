"""A 1D U-Net over the joints of a body, conditioned on noise level and context (the denoiser of Diff-HMR's paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hmr_ros.diffusion.schedule import STEPS
from hmr_ros.networks.denoiser import sinusoid

_GROUPS = 8


class UNet(nn.Module):
    """f(x_t, t, context) [B,J*C]: three levels of J, J/2 and J/4 positions, with the calls of `denoiser.Denoiser`."""

    def __init__(self, joints: int, channels: int, context: int, width: int = 64) -> None:
        super().__init__()
        self.joints, self.channels = joints, channels
        W = (width, 2 * width, 4 * width)
        self.time = nn.Sequential(nn.Linear(64, context), nn.SiLU(), nn.Linear(context, context))
        self.condition = nn.Linear(context, context)
        self.enter = nn.Conv1d(channels, W[0], 3, padding=1)
        self.down = nn.ModuleList([_Conv(W[0], W[0], context), _Conv(W[0], W[1], context), _Conv(W[1], W[2], context)])
        self.up = nn.ModuleList([_Conv(W[2] + W[1], W[1], context), _Conv(W[1] + W[0], W[0], context)])
        self.leave = nn.Conv1d(W[0], channels, 3, padding=1)

    def conditioning(self, context: Tensor) -> Tensor:
        """[B,C] -> [B,C]."""
        return torch.as_tensor(self.condition(context))

    def times(self, t: Tensor) -> Tensor:
        """What the levels need to know of `t` [B]: [B,C]."""
        return torch.as_tensor(self.time(sinusoid(t / STEPS)))

    def forward(self, x_t: Tensor, t: Tensor, conditioning: Tensor) -> Tensor:
        """`x_t` [B,J*C], `t` [B] in 0..1000."""
        return self.at(x_t, self.times(t), conditioning)

    def at(self, x_t: Tensor, times: Tensor, conditioning: Tensor) -> Tensor:
        """Like `forward` with the answer of `times`, [B,C] or [1,C]."""
        c = times + conditioning
        fine = self.down[0](self.enter(x_t.reshape(-1, self.joints, self.channels).transpose(1, 2)), c)
        middle = self.down[1](nn.functional.avg_pool1d(fine, 2), c)
        coarse = self.down[2](nn.functional.avg_pool1d(middle, 2), c)
        h = self.up[0](torch.cat([coarse.repeat_interleave(2, -1), middle], 1), c)
        h = self.up[1](torch.cat([h.repeat_interleave(2, -1), fine], 1), c)
        return torch.as_tensor(self.leave(h).transpose(1, 2).flatten(1))


class _Conv(nn.Module):
    """Two convolutions with a shift by time and condition between them, and a way around."""

    def __init__(self, before: int, after: int, context: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(before, after, 3, padding=1), nn.Conv1d(after, after, 3, padding=1)
        self.shift, self.around = nn.Linear(context, after), nn.Conv1d(before, after, 1)
        self.norm = nn.GroupNorm(_GROUPS, after)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        h = nn.functional.gelu(self.norm(self.first(x)) + self.shift(c)[..., None])
        return torch.as_tensor(self.second(h) + self.around(x))
