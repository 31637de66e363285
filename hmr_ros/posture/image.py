"""The posture networks with the 2D mesh seen in the picture itself (PostureHMR 3.1), in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of
from hmr_ros.body.loading import asset
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import AssetError
from hmr_ros.networks.image import ImageMesh, ImageSize
from hmr_ros.networks.m2p import M2P
from hmr_ros.networks.mesh2d import Mesh2D
from hmr_ros.networks.weights import read_weights
from hmr_ros.posture.condition import condition
from hmr_ros.posture.contract import Posture
from hmr_ros.posture.networks import facing_template, load_m2p, load_mesh2d
from hmr_ros.posture.reverse import reverse, step_times
from hmr_ros.types import Floats, Image


class TorchImagePosture:
    """`stages.image.ImageNetwork` in torch, on the CPU."""

    def __init__(self, image: ImageMesh, mesh2d: Mesh2D, m2p: M2P, template: Floats, steps: int) -> None:
        self._image, self._mesh2d, self._m2p = image.eval(), mesh2d.eval(), m2p.eval()
        self._template = torch.as_tensor(template, dtype=torch.float32)
        self._times = step_times(steps)
        self.crop_px = image.size.crop_px

    @torch.inference_mode()
    def look(self, crops: Image) -> tuple[Floats, Floats]:
        """Crops [N,S,S,3] BGR -> 2D mesh [N,P,2] and its sigma [N,P], in crop sides from the middle."""
        pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255.0
        seen = self._image(pictures, self._m2p.size.points)
        return seen.mesh.double().numpy(), seen.log_sigma.exp().double().numpy()

    @torch.inference_mode()
    def decode(self, mesh: Floats, sigma: Floats, points: Floats, log_scale: Floats) -> Posture:
        """2D mesh [N,P,2] and sigma [N,P] in the units of `posture.features`, whose `points` [N,33,6] lend the decoder
        their third dimension; `log_scale` [N]."""
        given, scale = (torch.as_tensor(a, dtype=torch.float32) for a in (points, log_scale))
        uv, spread = (torch.as_tensor(a, dtype=torch.float32) for a in (mesh, sigma))
        # the decoder learned with landmarks carried to the points by the key point network, so they stay these
        carried = condition(self._mesh2d, given, scale, self._m2p.size.points)[..., 3:]
        seen = torch.cat([uv, spread.log()[..., None], carried], -1)

        def decoder(x: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            change, log_sigma = self._m2p(x, seen, scale, t, s)
            return change, log_sigma

        x, log_sigma = reverse(decoder, self._template.expand(len(seen), -1, -1), self._times)
        n = NUM_SPARSE
        found = (uv[:, :n], spread[:, :n], x[:, :n], log_sigma[:, :n].exp())
        return Posture(*(a.double().numpy() for a in found))


def load_image_posture(body: BodyModel, steps: int, image: Path | None = None) -> TorchImagePosture:
    """The image network of `image` (default: where a shipped one would lie) before the shipped decoder."""
    mesh = coarse_of(body)
    m2p = load_m2p(asset("m2p.safetensors"), body, mesh)
    template = facing_template(mesh.points(body))[: m2p.size.points]
    network = load_image(image or asset("image.safetensors"))
    return TorchImagePosture(network, load_mesh2d(asset("mesh2d.safetensors")), m2p, np.asarray(template), steps)


def load_image(path: Path) -> ImageMesh:
    """Image network of a weights file; AssetError with the cure if it is missing."""
    if not path.is_file():
        raise AssetError(
            f"mesh2d 'image' needs weights, which are not shipped, and there are none at {path}; train them with: hmr"
            " train image, and name the file in image_weights, or use mesh2d 'keypoints'"
        )
    state, size, _ = read_weights(path, "image")
    network = ImageMesh(ImageSize(**size))
    network.load_state_dict(state)
    return network.eval()
