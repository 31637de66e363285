"""The networks of PostureHMR as graphs that engines run and `hmr export` writes, all steps inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of
from hmr_ros.body.loading import load_body
from hmr_ros.body.points import BodyPoints
from hmr_ros.errors import ConfigError
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.heatmaps import ImageMesh, load_image
from hmr_ros.methods.posturehmr.m2p import M2P, condition, load_m2p
from hmr_ros.methods.posturehmr.mesh2d import AXIS_2D, AXIS_3D, Mesh2D, load_mesh2d
from hmr_ros.methods.posturehmr.process import FACING, reverse, step_times
from hmr_ros.methods.posturehmr.sources import DECODER, POSTURE, PostureNetwork, image_signature
from hmr_ros.runtime.contract import Graph
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.types import Floats

_BODY = ("open_body.npz", "open_coarse.npz")


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
        return u[..., :2], AXIS_2D * u[..., 2].exp(), *decoded(self._m2p, bound, log_scale, self.template, self._times)


def decoded(
    m2p: M2P, bound: Tensor, log_scale: Tensor, template: Tensor, times: list[float]
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The 81 points [B,81,3] m and their standard deviation an axis [B,81] after all steps from the `template` [P,3];
    `bound` [B,...] is what the decoder is conditioned on."""

    def decoder(x: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        change, log_spread = m2p(x, bound, log_scale, t, s)
        return change, log_spread

    x, log_spread = reverse(decoder, template.expand(bound.shape[0], -1, -1), times)
    return x[:, :NUM_SPARSE], AXIS_3D * log_spread[:, :NUM_SPARSE].exp()


def facing_template(points: BodyPoints) -> Floats:
    """T-pose [P,3] m of the mean shape, facing the camera, pelvis at the origin."""
    return np.asarray((points.template - points.J_template[0]) @ FACING.numpy())


class ImageModule(nn.Module):
    """Crop to 2D mesh."""

    def __init__(self, network: ImageMesh, rows: int = NUM_SPARSE) -> None:
        super().__init__()
        self._network, self._rows = network.eval(), rows
        self.crop_px = network.size.crop_px

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Crops [B,3,S,S] (BGR, 0..1) -> 2D mesh [B,P,2] and its sigma [B,P], in crop sides from the middle."""
        seen = self._network(images, self._rows)
        return seen.mesh, AXIS_2D * seen.log_sigma.exp()


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
        """2D mesh [B,P,2] and sigma [B,P] in units of the person's size, landmarks `points` [B,33,6], `log_scale`
        [B] -> the fields of `Posture` in their order."""
        carried = condition(self._mesh2d, points, log_scale, self._m2p.size.points)[..., 3:]
        seen = torch.cat([mesh, (sigma / AXIS_2D).log()[..., None], carried], -1)
        n = NUM_SPARSE
        return mesh[:, :n], sigma[:, :n], *decoded(self._m2p, seen, log_scale, self.template, self._times)


def posture_graph(steps: int, weights: Mapping[str, Path]) -> Graph:
    """Landmarks to 81 points in so many steps; `weights` may name other files for mesh2d and m2p."""
    files = [weights.get(name) or asset(f"{name}.safetensors") for name in ("mesh2d", "m2p")]
    body = load_body(None)
    mesh = coarse_of(body)
    module = PostureModule(load_mesh2d(files[0]), load_m2p(files[1], body, mesh), mesh.points(body), steps)
    return Graph(module, POSTURE, (*files, *(asset(n) for n in _BODY)), {"steps": steps})


def image_graph(crop_px: int, weights: Mapping[str, Path]) -> Graph:
    """Crop to 2D mesh; `weights` may name another file for image. ConfigError if that takes other crops."""
    file = weights.get("image") or asset("image.safetensors")
    module = ImageModule(load_image(file))
    if "image" not in weights and crop_px != module.crop_px:
        raise ConfigError(f"the image network takes crops of {module.crop_px} pixels, not {crop_px}")
    return Graph(module, image_signature(module.crop_px), (file,), {"crop_px": module.crop_px})


def decoder_graph(steps: int, weights: Mapping[str, Path]) -> Graph:
    """2D mesh of the image network to 81 points."""
    files = [weights.get(name) or asset(f"{name}.safetensors") for name in ("mesh2d", "m2p")]
    body = load_body(None)
    mesh = coarse_of(body)
    template = torch.as_tensor(facing_template(mesh.points(body)), dtype=torch.float32)
    module = DecoderModule(load_mesh2d(files[0]), load_m2p(files[1], body, mesh), template, steps)
    return Graph(module, DECODER, (*files, *(asset(n) for n in _BODY)), {"steps": steps})


def torch_posture(steps: int, weights: Mapping[str, Path] | None = None) -> PostureNetwork:
    """The posture networks in torch: the shipped weights, or those of the given files."""
    return PostureNetwork(TorchEngine(posture_graph(steps, weights or {})))
