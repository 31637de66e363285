"""The mesh-to-posture decoder of PostureHMR (section 3.3, Fig. 4): 3D and 2D mesh in, posture change out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, NUM_VERTICES, SPARSE_PARENTS, CoarseMesh
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import ConfigError
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D
from hmr_ros.networks.denoiser import step_embedding
from hmr_ros.networks.weights import read_weights
from hmr_ros.types import Floats

_STEP_CHANNELS = 32


@dataclass(frozen=True)
class M2PSize:
    """Widths of the decoder. The default runs in real time on two CPU cores."""

    points: int = 81  # tokens
    dim: int = 32
    layers: int = 1
    heads: int = 1
    head_tokens: int = 16  # channels a token brings to the MLP head
    head_dim: int = 768
    head_blocks: int = 1
    condition: int = 6  # u, v, log spread, interpolated landmarks x, y, z
    bare_landmarks: int = 0  # ablation: so many raw inputs, embedded for each token, instead of a 2D mesh


def _silence(layer: nn.Linear) -> None:
    """Start a residual branch at zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


class GraphResidual(nn.Module):
    """Graph residual block of Graphormer: narrow, gather over the neighbours, widen, add."""

    adjacency: Tensor

    def __init__(self, dim: int, adjacency: Tensor) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency, persistent=False)  # dense: sparse ones do not export
        self.norm_in, self.norm_mid, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim // 2), nn.LayerNorm(dim // 2)
        self.narrow, self.gather = nn.Linear(dim, dim // 2), nn.Linear(dim // 2, dim // 2)
        self.widen = nn.Linear(dim // 2, dim)
        _silence(self.widen)

    def forward(self, x: Tensor) -> Tensor:
        """[B,P,D] -> [B,P,D]."""
        h = self.narrow(functional.relu(self.norm_in(x)))
        h = self.adjacency @ self.gather(functional.relu(self.norm_mid(h)))
        return x + self.widen(functional.relu(self.norm_out(h)))


class Block(nn.Module):
    """Attention, graph residual, feed-forward."""

    def __init__(self, dim: int, heads: int, adjacency: Tensor) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.graph = GraphResidual(dim, adjacency)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        _silence(self.out)
        _silence(self.down)

    def forward(self, x: Tensor) -> Tensor:
        """[B,P,D] -> [B,P,D]."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.graph(x + self.out(attended))
        return x + self.down(functional.gelu(self.up(self.norm_forward(x))))


class HeadBlock(nn.Module):
    """Residual layer of the MLP head."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B,D] -> [B,D]."""
        return x + self.down(functional.gelu(self.up(self.norm(x))))


class M2P(nn.Module):
    """F_alpha(M_t, M_2d, t, s) = M_s - M_t, with the log spread [B,P] (`mesh2d.AXIS_3D`) of M_s."""

    def __init__(self, size: M2PSize, adjacency: Tensor) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Linear(3 + (0 if size.bare_landmarks else size.condition), size.dim)
        if size.bare_landmarks:  # as wide as the head, or narrow tokens alone would decide against it
            wide = nn.Linear(size.bare_landmarks, size.head_dim), nn.Linear(size.head_dim, size.points * size.dim)
            self.bare = nn.Sequential(wide[0], nn.GELU(), wide[1], nn.Unflatten(1, (size.points, size.dim)))
        self.position = nn.Parameter(0.02 * torch.randn(size.points, size.dim))
        self.step = nn.Sequential(nn.Linear(2 * _STEP_CHANNELS + 1, size.dim), nn.SiLU(), nn.Linear(size.dim, size.dim))
        self.blocks = nn.ModuleList(Block(size.dim, size.heads, adjacency) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.dim)
        self.reduce = nn.Linear(size.dim, size.head_tokens)
        flat, H = size.points * size.head_tokens, size.head_dim
        self.head = nn.Sequential(nn.Linear(flat, H), *(HeadBlock(H) for _ in range(size.head_blocks)), nn.LayerNorm(H))
        self.change = nn.Linear(H, size.points * 4)
        self.local = nn.Linear(size.dim, 4)
        _silence(self.change)
        _silence(self.local)

    def forward(self, x_t: Tensor, condition: Tensor, log_scale: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """`x_t` [B,P,3] m, `condition` [B,P,6] (or [B,bare] for the ablation), `log_scale`, `t`, `s` [B] in [0,1]."""
        steps = torch.cat([step_embedding(t, _STEP_CHANNELS), step_embedding(s, _STEP_CHANNELS), log_scale[:, None]], 1)
        if self.size.bare_landmarks:
            x = self.embed(x_t) + self.bare(condition)
        else:
            x = self.embed(torch.cat([x_t, condition], -1))
        x = x + self.position + self.step(steps)[:, None]
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        out = self.change(self.head(self.reduce(x).flatten(1))).unflatten(1, (self.size.points, 4)) + self.local(x)
        return out[..., :3], out[..., 3].clamp(-7.0, 1.0)


_NEAREST = 5


def condition(mesh2d: Mesh2D, points: Tensor, log_scale: Tensor, rows: int = NUM_SPARSE) -> Tensor:
    """[B,rows,6]: u, v, log spread and the world landmarks carried to the points (zero where there are none)."""
    uv, log_sigma, carried = mesh2d(points, log_scale, rows)
    return torch.cat([uv, log_sigma[..., None], carried], -1)


def token_adjacency(mesh: CoarseMesh, rest: Floats, count: int) -> Floats:
    """[count,count] neighbours of the first `count` of the 448 points, `rest` [448,3] their T-pose.

    Bones join joints, the nearest five join points; among all 431 vertices the mesh's own neighbours take their place.
    Rows sum to 1, self loops included.
    """
    rest = rest[:count]
    distance = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    adjacency = np.eye(count)
    for i, near in enumerate(np.argsort(distance, axis=1)[:, 1 : 1 + _NEAREST]):
        adjacency[i, near] = adjacency[near, i] = 1.0
    first = len(JOINT_IDS)
    if count == first + len(mesh.vertex_ids):
        adjacency[first:, first:] = mesh.adjacency > 0
    for i, parent in enumerate(SPARSE_PARENTS.tolist()):
        if parent >= 0:
            adjacency[i, parent] = adjacency[parent, i] = 1.0
    return np.asarray(adjacency / adjacency.sum(1, keepdims=True))


def load_m2p(path: Path, body: BodyModel, mesh: CoarseMesh) -> M2P:
    """Decoder of a weights file; `body` and `mesh` are those it was trained on."""
    state, size, _ = read_weights(path, "m2p")
    network = new_m2p(M2PSize(**size), body, mesh)
    network.load_state_dict(state)
    return network.eval()


def new_m2p(size: M2PSize, body: BodyModel, mesh: CoarseMesh) -> M2P:
    """Untrained decoder whose graph blocks know the body's neighbours."""
    if size.points not in (NUM_SPARSE, len(JOINT_IDS) + NUM_VERTICES):
        raise ConfigError(f"the decoder works on 81 or 448 points, not {size.points}")
    adjacency = token_adjacency(mesh, mesh.points(body).template, size.points)
    return M2P(size, torch.as_tensor(adjacency, dtype=torch.float32))
