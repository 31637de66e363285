"""The image network and the decoder behind it as the two graphs that engines run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of
from hmr_ros.body.loading import asset
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import AssetError
from hmr_ros.networks.image import ImageMesh, ImageSize
from hmr_ros.networks.m2p import M2P
from hmr_ros.networks.mesh2d import Mesh2D
from hmr_ros.networks.weights import read_weights
from hmr_ros.posture.condition import condition
from hmr_ros.posture.networks import decoded, facing_template, load_m2p, load_mesh2d
from hmr_ros.posture.reverse import step_times


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
