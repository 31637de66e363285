"""The two posture networks as one call, with the shipped weights: key points in, 2D mesh and posture out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, NUM_VERTICES, CoarseMesh, coarse_of, sparse_points
from hmr_ros.body.loading import asset
from hmr_ros.body.model import BodyModel
from hmr_ros.body.points import BodyPoints
from hmr_ros.errors import ConfigError
from hmr_ros.networks.m2p import M2P, M2PSize
from hmr_ros.networks.mesh2d import Mesh2D, Mesh2DSize
from hmr_ros.networks.weights import read_weights
from hmr_ros.posture.condition import condition, token_adjacency
from hmr_ros.posture.contract import Posture, PostureNetwork
from hmr_ros.posture.forward import FACING
from hmr_ros.posture.reverse import reverse, step_times
from hmr_ros.types import Floats

__all__ = [  # with what comes from rooms that need no torch
    "Posture", "PostureModule", "PostureNetwork", "TorchPosture", "coarse_of", "decoded", "facing_template", "load_m2p",
    "load_mesh2d", "load_torch_posture", "new_m2p", "sparse_points",
]  # fmt: skip


class PostureModule(nn.Module):
    """Both networks and all steps as one graph: what is exported, and what torch runs."""

    template: Tensor

    def __init__(self, mesh2d: Mesh2D, m2p: M2P, points: BodyPoints, steps: int) -> None:
        super().__init__()
        self._mesh2d, self._m2p = mesh2d.eval(), m2p.eval()
        self._rows = m2p.size.points
        template = torch.as_tensor(facing_template(points)[: self._rows], dtype=torch.float32)
        self.register_buffer("template", template, persistent=False)
        self._times = step_times(steps)

    def forward(self, points: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`points` [B,33,6], `log_scale` [B] -> the fields of `Posture` in their order."""
        seen = condition(self._mesh2d, points, log_scale, self._rows)
        bound = points.flatten(1) if self._m2p.size.bare_landmarks else seen

        u = seen[:, :NUM_SPARSE]
        return u[..., :2], u[..., 2].exp(), *decoded(self._m2p, bound, log_scale, self.template, self._times)


def decoded(
    m2p: M2P, bound: Tensor, log_scale: Tensor, template: Tensor, times: list[float]
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The 81 points [B,81,3] m and their sigma [B,81] after all steps from the `template` [P,3]; `bound` [B,...] is
    what the decoder is conditioned on."""

    def decoder(x: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        change, log_sigma = m2p(x, bound, log_scale, t, s)
        return change, log_sigma

    x, log_sigma = reverse(decoder, template.expand(bound.shape[0], -1, -1), times)
    return x[:, :NUM_SPARSE], log_sigma[:, :NUM_SPARSE].exp()


class TorchPosture:
    """`PostureNetwork` in torch, on the CPU."""

    def __init__(self, mesh2d: Mesh2D, m2p: M2P, points: BodyPoints, steps: int) -> None:
        self.module = PostureModule(mesh2d, m2p, points, steps)

    @torch.inference_mode()
    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        given = torch.as_tensor(points, dtype=torch.float32), torch.as_tensor(log_scale, dtype=torch.float32)
        return Posture(*(a.double().numpy() for a in self.module(*given)))


def facing_template(points: BodyPoints) -> Floats:
    """T-pose [P,3] m of the mean shape, facing the camera, pelvis at the origin."""
    return np.asarray((points.template - points.J_template[0]) @ FACING.numpy())


def load_torch_posture(
    body: BodyModel, steps: int, mesh2d: Path | None = None, m2p: Path | None = None
) -> TorchPosture:
    """The shipped weights, or those of the given files."""
    mesh = coarse_of(body)
    front = load_mesh2d(mesh2d or asset("mesh2d.safetensors"))
    return TorchPosture(front, load_m2p(m2p or asset("m2p.safetensors"), body, mesh), mesh.points(body), steps)


def load_mesh2d(path: Path) -> Mesh2D:
    """2D mesh network of a weights file."""
    state, size, _ = read_weights(path, "mesh2d")
    network = Mesh2D(Mesh2DSize(**size))
    network.load_state_dict(state)
    return network.eval()


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
