"""The two posture networks as one call, with the shipped weights: key points in, 2D mesh and posture out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from hmr_ros.body.coarse import JOINT_IDS, NUM_MARKERS, NUM_SPARSE, NUM_VERTICES, CoarseMesh, load_coarse
from hmr_ros.body.loading import asset
from hmr_ros.body.model import BodyModel
from hmr_ros.body.points import BodyPoints, points_of
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.networks.m2p import M2P, M2PSize
from hmr_ros.networks.mesh2d import Mesh2D, Mesh2DSize
from hmr_ros.networks.weights import read_weights
from hmr_ros.posture.condition import condition, token_adjacency
from hmr_ros.posture.forward import FACING
from hmr_ros.posture.reverse import reverse, step_times
from hmr_ros.types import Floats


@dataclass(frozen=True)
class Posture:
    """What the networks say of N people, in the axes of a camera aimed at each; 81 sparse points."""

    points_2d: Floats  # [N,81,2] in units of the person's size
    sigma_2d: Floats  # [N,81] same units
    points: Floats  # [N,81,3] m, pelvis near the origin
    sigma: Floats  # [N,81] m


class PostureNetwork(Protocol):
    """Any engine that runs the two networks."""

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """`points` [N,33,6] and `log_scale` [N] as in `posture.features`."""
        ...


class TorchPosture:
    """Both networks in torch."""

    def __init__(self, mesh2d: Mesh2D, m2p: M2P, points: BodyPoints, steps: int) -> None:
        self._mesh2d, self._m2p = mesh2d.eval(), m2p.eval()
        self._rows = m2p.size.points
        self._template = torch.as_tensor(facing_template(points)[: self._rows], dtype=torch.float32)
        self._times = step_times(steps)

    @torch.inference_mode()
    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        given = torch.as_tensor(points, dtype=torch.float32)
        log = torch.as_tensor(log_scale, dtype=torch.float32)
        seen = condition(self._mesh2d, given, log, self._rows)
        bound = given.flatten(1) if self._m2p.size.bare_landmarks else seen

        def decoder(x: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            change, log_sigma = self._m2p(x, bound, log, t, s)
            return change, log_sigma

        x, log_sigma = reverse(decoder, self._template.expand(len(given), -1, -1), self._times)
        found = (seen[..., :2], seen[..., 2].exp(), x, log_sigma.exp())
        return Posture(*(a[:, :NUM_SPARSE].double().numpy() for a in found))


def sparse_points(body: BodyModel, mesh: CoarseMesh) -> BodyPoints:
    """The 81 sparse points of `body`."""
    return points_of(body, JOINT_IDS, mesh.vertex_ids[:NUM_MARKERS])


def coarse_of(body: BodyModel) -> CoarseMesh:
    """The coarse mesh that ships with the open body."""
    mesh = load_coarse(asset("open_coarse.npz"))
    if int(mesh.vertex_ids.max()) >= len(body.v_template):
        raise AssetError(
            f"body {body.name} has {len(body.v_template)} vertices, the coarse mesh belongs to another body"
        )
    return mesh


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
