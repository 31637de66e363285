"""The diffusion model g of HMDiff (section 4.3) and the depth part of its prior distribution U."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.body.coarse import NUM_SPARSE, SPARSE_JOINTS
from hmr_ros.diffusion.schedule import STEPS, cosine_alphas
from hmr_ros.methods.hmdiff.source import NUM_BINS, RANK
from hmr_ros.methods.posturehmr.mesh2d import CHANNELS, NUM_LANDMARKS
from hmr_ros.networks.denoiser import step_embedding
from hmr_ros.networks.weights import read_weights

LEVELS = (1000, 800, 600, 400, 200)  # t at which that covariance was measured
COORDINATES = NUM_SPARSE * 3
_CONDITION = 6  # u, v, log spread and carried landmark of a point, as M2P's


@dataclass(frozen=True)
class HmdiffSize:
    """Widths. The default answers in real time on two CPU cores."""

    step: int = 15  # channels of the step embedding
    identity: int = 14  # of the embedding of which point it is; with the three coordinates the token
    heads: int = 1
    head_tokens: int = 12  # channels a token brings to the wide head; 0: a linear layer alone, as in the paper
    head: int = 640
    depth: int = 256  # width of the depth network

    @property
    def dim(self) -> int:
        """Width of a token."""
        return self.step + self.identity + 3


class Hmdiff(nn.Module):
    """Denoiser and depth distribution, which share nothing but the file.

    The raw output is v, from which both the noise g(h_k, k) of Eq. 6-7 and h0-hat follow without dividing by
    sqrt(alpha_k): at k = K nothing of h_0 is left in h_k, and h0-hat = -v is what the network says of it.
    """

    alphas: Tensor
    factors: Tensor

    def __init__(self, size: HmdiffSize) -> None:
        super().__init__()
        self.size = size
        D = size.dim
        self.register_buffer("alphas", torch.as_tensor(cosine_alphas(), dtype=torch.float32), persistent=False)
        # A with A A^T the correlation of the errors of h0-hat, at each of LEVELS; measured after training
        self.register_buffer("factors", torch.zeros(len(LEVELS), COORDINATES, RANK))
        self.identity = nn.Parameter(0.1 * torch.randn(NUM_SPARSE, size.identity))
        self.seen = nn.Linear(_CONDITION, D)
        self.landmark, self.whole = nn.Linear(CHANNELS, D), nn.Linear(NUM_LANDMARKS * CHANNELS + 1, D)
        self.which = nn.Parameter(0.1 * torch.randn(NUM_LANDMARKS + 1, D))
        self.attention, self.cross = _Attention(D, size.heads), _Attention(D, size.heads)
        self.norm = nn.LayerNorm(D)
        self.local = nn.Linear(D, 6)
        if size.head_tokens:
            H = size.head
            self.reduce = nn.Linear(D, size.head_tokens)
            self.flat = nn.Linear(NUM_SPARSE * size.head_tokens, H)
            self.context = nn.Sequential(
                nn.Linear(NUM_LANDMARKS * CHANNELS + 1, H), nn.LayerNorm(H), nn.GELU(), nn.Linear(H, H)
            )
            self.mix = nn.Sequential(nn.LayerNorm(H), nn.GELU(), nn.Linear(H, H))
            self.out = nn.Sequential(nn.LayerNorm(H), nn.GELU(), nn.Linear(H, NUM_SPARSE * 6))
        self.depth = nn.Sequential(
            nn.Linear(NUM_LANDMARKS * CHANNELS + 1, size.depth), nn.LayerNorm(size.depth), nn.GELU(),
            nn.Linear(size.depth, size.depth), nn.LayerNorm(size.depth), nn.GELU(),
            nn.Linear(size.depth, len(SPARSE_JOINTS) * NUM_BINS),
        )  # fmt: skip

    def forward(
        self, state: Tensor, time: Tensor, points: Tensor, log_scale: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """v [B,S,81,3] and the log spread [B,S,81,3] of h0-hat, both in units of UNIT_M.

        `state` h_k [B,S,81,3], `time` k [B] in 0..1000, landmarks `points` [B,33,6] and `log_scale` [B] as in
        `Normalised`, `seen` [B,81,6] as M2P's condition.
        """
        B, S, P = state.shape[:3]
        size, flat = self.size, whole(points, log_scale)
        steps = step_embedding(time / STEPS, size.step)
        # what h_k alone says of h_0, which has unit variance: noise that says nothing does not enter
        state = self.alphas[time.round().long()].sqrt()[:, None, None, None] * state
        tokens = torch.cat(
            [
                state, self.identity.expand(B, S, -1, -1),
                steps[:, None, None].expand(-1, S, P, -1),
            ], -1,
        ) + self.seen(seen)[:, None]  # fmt: skip
        x = tokens.reshape(B * S, P, size.dim)
        given = torch.cat([self.landmark(points), self.whole(flat)[:, None]], 1) + self.which
        given = given[:, None].expand(-1, S, -1, -1).reshape(B * S, NUM_LANDMARKS + 1, size.dim)
        x = self.attention(x, x)
        x = self.cross(x, given)
        x = self.norm(x)
        y = self.local(x).reshape(B, S, P, 6)
        if size.head_tokens:
            wide = self.flat(self.reduce(x).reshape(B, S, -1)) + self.context(flat)[:, None]
            y = y + self.out(wide + self.mix(wide)).reshape(B, S, P, 6)
        return y[..., :3], y[..., 3:].clamp(-5.0, 1.5)

    def depth_logits(self, points: Tensor, log_scale: Tensor) -> Tensor:
        """[B,17,48] of where each joint lies in depth, relative to the pelvis."""
        logits: Tensor = self.depth(whole(points, log_scale))
        return logits.reshape(-1, len(SPARSE_JOINTS), NUM_BINS)

    def noise_and_clean(self, state: Tensor, v: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """g(h_k, k) and h0-hat, both [B,S,81,3], of what `forward` gave."""
        a = self.alphas[time.round().long()][:, None, None, None]
        kept, rest = a.sqrt(), (1 - a).sqrt()
        return rest * state + kept * v, kept * state - rest * v


class _Attention(nn.Module):
    """Pre-norm attention with a residual that starts at zero."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_key = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """[B,P,D] asked of `given` [B,Q,D] -> [B,P,D]."""
        q = self.query(self.norm_query(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(self.norm_key(given)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(attended.transpose(1, 2).flatten(2))


def whole(points: Tensor, log_scale: Tensor) -> Tensor:
    """All that the landmarks say of a person as one row [B,199]."""
    return torch.cat([points.flatten(1), log_scale[:, None]], 1)


def load_hmdiff(path: Path) -> Hmdiff:
    """Network of a weights file."""
    state, size, _ = read_weights(path, "hmdiff")
    network = Hmdiff(HmdiffSize(**size))
    network.load_state_dict(state)
    return network.eval()
