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
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.evidence.posture import Posture, PostureNetwork
from hmr_ros.methods.posturehmr.forward import FACING
from hmr_ros.methods.posturehmr.heatmaps import ImageMesh, ImageSize
from hmr_ros.methods.posturehmr.m2p import M2P, M2PSize, condition, token_adjacency
from hmr_ros.methods.posturehmr.mesh2d import Mesh2D, Mesh2DSize
from hmr_ros.methods.posturehmr.reverse import reverse, step_times
from hmr_ros.networks.weights import read_weights
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


class ImageModule(nn.Module):
    """Crop to 2D mesh."""

    def __init__(self, network: ImageMesh, rows: int = NUM_SPARSE) -> None:
        super().__init__()
        self._network, self._rows = network.eval(), rows
        self.crop_px = network.size.crop_px

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Crops [B,3,S,S] (BGR, 0..1) -> 2D mesh [B,P,2] and its sigma [B,P], in crop sides from the middle."""
        seen = self._network(pictures, self._rows)
        return seen.mesh, seen.log_sigma.exp()


class DecoderModule(nn.Module):
    """2D mesh to posture, all steps as one graph.

    The decoder learned with landmarks carried to the points by the key point network, so its third dimension stays
    these.
    """

    template: Tensor

    def __init__(self, mesh2d: Mesh2D, m2p: M2P, template: Tensor, steps: int) -> None:
        super().__init__()
        self._mesh2d, self._m2p = mesh2d.eval(), m2p.eval()
        self.register_buffer("template", template[: m2p.size.points], persistent=False)
        self._times = step_times(steps)

    def forward(
        self, mesh: Tensor, sigma: Tensor, points: Tensor, log_scale: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """2D mesh [B,P,2] and sigma [B,P] in the units of `posture.features`, landmarks `points` [B,33,6], `log_scale`
        [B] -> the fields of `Posture` in their order."""
        carried = condition(self._mesh2d, points, log_scale, self._m2p.size.points)[..., 3:]
        seen = torch.cat([mesh, sigma.log()[..., None], carried], -1)
        n = NUM_SPARSE
        return mesh[:, :n], sigma[:, :n], *decoded(self._m2p, seen, log_scale, self.template, self._times)


def load_image_module(path: Path | None = None) -> ImageModule:
    """The shipped image network, or that of a weights file; for the shipped decoder."""
    return ImageModule(load_image(path or asset("image.safetensors")))


def load_decoder_module(body: BodyModel, steps: int) -> DecoderModule:
    """The shipped decoder; `body` is the open body."""
    coarse = coarse_of(body)
    m2p = load_m2p(asset("m2p.safetensors"), body, coarse)
    template = torch.as_tensor(facing_template(coarse.points(body)), dtype=torch.float32)
    return DecoderModule(load_mesh2d(asset("mesh2d.safetensors")), m2p, template, steps)


def load_image(path: Path) -> ImageMesh:
    """Image network of a weights file; AssetError with the cure if it is missing."""
    if not path.is_file():
        raise AssetError(
            f"no image weights at {path}; train them with: hmr train image, and name the file in image_weights, or use"
            " mesh2d 'keypoints'"
        )
    state, size, _ = read_weights(path, "image")
    network = ImageMesh(ImageSize(**size))
    network.load_state_dict(state)
    return network.eval()
