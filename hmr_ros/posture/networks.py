"""The two posture networks as one call, with the shipped weights: key points in, 2D mesh and posture out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from hmr_ros.body.coarse import JOINT_IDS, NUM_MARKERS, NUM_SPARSE, CoarseMesh, load_coarse
from hmr_ros.body.loading import asset
from hmr_ros.body.model import BodyModel
from hmr_ros.body.points import BodyPoints, points_of
from hmr_ros.errors import AssetError
from hmr_ros.networks.kinematics import PosedPoints
from hmr_ros.networks.m2p import M2P, M2PSize
from hmr_ros.networks.mesh2d import Mesh2D, Mesh2DSize
from hmr_ros.networks.weights import read_weights
from hmr_ros.posture.condition import condition, sparse_adjacency
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

    def __init__(self, mesh2d: Mesh2D, m2p: M2P, template: torch.Tensor, steps: int) -> None:
        self._mesh2d, self._m2p = mesh2d.eval(), m2p.eval()
        self._template = template  # [81,3]
        self._times = step_times(steps)

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        given = torch.as_tensor(points, dtype=torch.float32)
        log = torch.as_tensor(log_scale, dtype=torch.float32)
        seen = self.mesh(given, log)
        x, log_sigma = self.decode(seen, log)
        return Posture(*(a.double().numpy() for a in (seen[..., :2], seen[..., 2].exp(), x, log_sigma.exp())))

    @torch.inference_mode()
    def mesh(self, points: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
        """The 2D mesh at the sparse points, as `posture.condition` has it."""
        return condition(self._mesh2d, points, log_scale)

    @torch.inference_mode()
    def decode(self, seen: torch.Tensor, log_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the T-pose to points [N,81,3] m and their log sigma."""

        def decoder(x: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            change, log_sigma = self._m2p(x, seen, log_scale, t, s)
            return change, log_sigma

        return reverse(decoder, self._template.expand(len(seen), -1, -1), self._times)


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


def facing_template(sparse: BodyPoints) -> Floats:
    """T-pose [81,3] m of the mean shape, facing the camera, pelvis at the origin."""
    return np.asarray((sparse.template - sparse.J_template[0]) @ FACING.numpy())


def load_torch_posture(body: BodyModel, steps: int, threads: int) -> TorchPosture:
    """The shipped weights."""
    torch.set_num_threads(threads)
    sparse = sparse_points(body, coarse_of(body))
    mesh2d, m2p = load_mesh2d(asset("mesh2d.safetensors")), load_m2p(asset("m2p.safetensors"), sparse)
    template = torch.as_tensor(facing_template(sparse), dtype=torch.float32)
    return TorchPosture(mesh2d, m2p, template, steps)


def load_mesh2d(path: Path) -> Mesh2D:
    """2D mesh network of a weights file."""
    state, size, _ = read_weights(path, "mesh2d")
    network = Mesh2D(Mesh2DSize(**size))
    network.load_state_dict(state)
    return network.eval()


def load_m2p(path: Path, sparse: BodyPoints) -> M2P:
    """Decoder of a weights file for the 81 points of the body it was trained on."""
    state, size, _ = read_weights(path, "m2p")
    if size["points"] != NUM_SPARSE:
        raise AssetError(f"{path} works on {size['points']} points, not {NUM_SPARSE}; train it anew")
    adjacency = sparse_adjacency(PosedPoints(sparse))
    network = M2P(M2PSize(**size), torch.as_tensor(adjacency, dtype=torch.float32))
    network.load_state_dict(state)
    return network.eval()
