"""The reverse process of PostureHMR (section 3.3): from the T-pose to the person in a few learned steps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

# (M_t, t, s) -> (M_s - M_t, log sigma of M_s); the condition is bound by the caller
Decoder = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def step_times(steps: int) -> list[float]:
    """The visited t from the T-pose (1) to the person (0), evenly spaced: `steps` + 1 of them."""
    return [1.0 - k / steps for k in range(steps + 1)]


def reverse(decoder: Decoder, template: Tensor, times: list[float]) -> tuple[Tensor, Tensor]:
    """Eq. 5 with reduced steps: M [B,P,3] m at the last of `times`, and its log sigma [B,P].

    `template` [B,P,3] is the facing T-pose. Each step knows where it is and where it goes, so that the same weights
    serve any number of steps.
    """
    x, log_sigma = template, template[..., 0] * 0.0
    for t, s in pairwise(times):
        zero = torch.zeros_like(x[:, 0, 0])  # [B], in a traced graph as well
        change, log_sigma = decoder(x, zero + t, zero + s)
        x = x + change
    return x, log_sigma
