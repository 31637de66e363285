"""Crop to 2D mesh: heat maps of 81 sparse points, soft-argmax, M_2d = C P (PostureHMR 3.1, VirtualMarker)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.networks.hrnet import HRNet, HRNetSize
from hmr_ros.networks.weights import read_weights

HEAT_MAP = 64  # cells a side
_SHARPNESS = 15.0  # of the softmax over the cells
_CHANNELS = (16, 24, 40, 80, 128)  # of the small encoder at 1/2, 1/4 ... 1/32 of the crop
_DEPTHS = (1, 2, 3, 3, 2)  # blocks there
_EXPANSION = 4
_DECODER = 48
_LEAST_CONFIDENCE = 1e-6
_LOG_SIGMA = (-7.0, 0.0)  # of crop sides


@dataclass(frozen=True)
class ImageSize:
    """Backbone and sizes; see `image_size` for the two that exist."""

    backbone: str = "small"  # or "hrnet"
    crop_px: int = 128  # side of the image the network sees
    width: int = 0  # hrnet: channels of its finest branch
    points: int = 448  # 17 joints and 431 vertices
    sparse: int = 81  # the first so many of them have heat maps


def image_size(name: str) -> ImageSize:
    """`small` runs in real time on two CPU cores; `paper` is HRNet-W48 on 256 x 256 pixels."""
    sizes = {"small": ImageSize(), "paper": ImageSize("hrnet", 256, 48)}
    if name not in sizes:
        raise ConfigError(f"--size '{name}' is unknown; choose from {', '.join(sizes)}")
    return sizes[name]


class Seen(NamedTuple):
    """What the network says of B crops; lengths in crop sides from the middle of the crop, x right, y down."""

    points: Tensor  # [B,81,2] soft-argmax of the heat maps
    confidence: Tensor  # [B,81] heat at that cell, 0..1
    coefficients: Tensor  # [B,rows,81] C, rows sum to one
    mesh: Tensor  # [B,rows,2] C P; no gradient reaches P through it
    log_sigma: Tensor  # [B,rows] log spread (`mesh2d.AXIS_2D`) of `mesh`
    heat: Tensor  # [B,81,64,64] log of the heat maps


class ImageMesh(nn.Module):
    """Crops [B,3,S,S] (BGR, 0..1) -> `Seen`."""

    def __init__(self, size: ImageSize) -> None:
        super().__init__()
        self.size = size
        self.backbone = _backbone(size)
        self.heat = nn.Conv2d(self.backbone.channels, size.sparse, 1)
        self.carry = AdaptiveMesh(size.points, size.sparse)

    def forward(self, crops: Tensor, rows: int | None = None) -> Seen:
        """`rows` = only the first so many of the points."""
        # channels last: half the time of depthwise convolutions on a CPU
        image = (crops - 0.5).to(memory_format=torch.channels_last)
        heat = log_heat(self.heat(self.backbone(image)))
        points, confidence = soft_argmax(heat)
        # the mesh learns to live with the key points as they are; they do not give way to it
        coefficients, log_sigma = self.carry(confidence.detach(), rows)
        return Seen(points, confidence, coefficients, coefficients @ points.detach(), log_sigma, heat)


class AdaptiveMesh(nn.Module):
    """C, linear in the confidences: what is not seen is carried by what is."""

    base: Tensor

    def __init__(self, points: int, sparse: int) -> None:
        super().__init__()
        self.points, self.sparse = points, sparse
        self.register_buffer("base", torch.eye(sparse).repeat(-(-points // sparse), 1)[:points])
        self.coefficients = nn.Linear(sparse, points * sparse)
        self.sigma = nn.Linear(sparse, points)
        nn.init.normal_(self.coefficients.weight, std=1e-4)
        nn.init.zeros_(self.coefficients.bias)
        nn.init.zeros_(self.sigma.weight)
        nn.init.constant_(self.sigma.bias, -3.0)

    def start_from(self, sparse_to_coarse: Tensor) -> None:
        """Set the base: the sparse points themselves, and for the vertices the body's own weights [431,81]."""
        first = self.points - len(sparse_to_coarse)
        self.base[first:] = sparse_to_coarse.to(self.base)
        self.base[: self.sparse] = torch.eye(self.sparse).to(self.base)

    def forward(self, confidence: Tensor, rows: int | None = None) -> tuple[Tensor, Tensor]:
        """Confidences [B,81] -> C [B,rows,81] and log sigma [B,rows]."""
        P, K = rows or self.points, self.sparse
        weight, bias = self.coefficients.weight[: P * K], self.coefficients.bias[: P * K]
        C = self.base[:P] + functional.linear(confidence, weight, bias).reshape(-1, P, K)
        C = C + (1.0 - C.sum(-1, keepdim=True)) / K
        certainty = (confidence + _LEAST_CONFIDENCE).log()
        log_sigma = functional.linear(certainty, self.sigma.weight[:P], self.sigma.bias[:P])
        return C, log_sigma.clamp(*_LOG_SIGMA)


def log_heat(logits: Tensor) -> Tensor:
    """Log of the softmax of 15 x logits over the cells [B,K,h,w]."""
    flat = _SHARPNESS * logits.float().flatten(2)  # bf16 cannot hold it
    return torch.log_softmax(flat, -1).reshape(logits.shape)


def soft_argmax(log_heat: Tensor) -> tuple[Tensor, Tensor]:
    """Heat maps [B,K,h,w] -> centres of mass [B,K,2] in crop sides from the middle, and the heat [B,K] there.

    Expectation of each marginal, divided by the side, minus one half.
    """
    h, w = log_heat.shape[-2:]
    grid = log_heat.exp()
    heat = grid.flatten(2)
    x = grid.sum(2) @ torch.arange(w, device=heat.device, dtype=heat.dtype)
    y = grid.sum(3) @ torch.arange(h, device=heat.device, dtype=heat.dtype)
    cell = (y.detach().round() * w + x.detach().round()).long()
    confidence = heat.gather(2, cell[..., None])[..., 0]
    return torch.stack([x / w, y / h], -1) - 0.5, confidence


class SmallNet(nn.Module):
    """Inverted residuals down to 1/32, then a light way up; images [B,3,S,S] -> features [B,48,S/2,S/2]."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = _DECODER
        self.stem = nn.Sequential(_norm_conv(3, _CHANNELS[0], 3, 2), nn.ReLU())
        self.levels, inputs = nn.ModuleList(), _CHANNELS[0]
        for i, (outputs, depth) in enumerate(zip(_CHANNELS, _DEPTHS, strict=True)):
            blocks = [InvertedResidual(inputs if k == 0 else outputs, outputs, 2 if i and k == 0 else 1)
                      for k in range(depth)]  # fmt: skip
            self.levels.append(nn.Sequential(*blocks))
            inputs = outputs
        self.lateral = nn.ModuleList(_norm_conv(c, _DECODER, 1) for c in _CHANNELS)
        self.merge = nn.ModuleList(_separable(_DECODER) for _ in _CHANNELS[:-1])

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,S,S] -> [B,48,S/2,S/2]; S a multiple of 32."""
        x, lateral = self.stem(image), []
        for level, side in zip(self.levels, self.lateral, strict=True):
            x = level(x)
            lateral.append(side(x))
        x = lateral[-1]
        for fine, merge in zip(lateral[-2::-1], reversed(self.merge), strict=True):
            x = merge(fine + functional.interpolate(x, scale_factor=2.0))
        return x


class InvertedResidual(nn.Module):
    """Widen, look around channel by channel, narrow (MobileNetV2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = inputs * _EXPANSION
        self.short = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            _norm_conv(inputs, wide, 1), nn.ReLU(), _norm_conv(wide, wide, 3, stride, wide), nn.ReLU(),
            _norm_conv(wide, outputs, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """[B,inputs,h,w] -> [B,outputs,h/stride,w/stride]."""
        out = self.body(x)
        return x + out if self.short else out


def _separable(channels: int) -> nn.Sequential:
    """5x5 a channel, then across channels."""
    look = _norm_conv(channels, channels, 5, 1, channels)
    return nn.Sequential(nn.ReLU(), look, nn.ReLU(), _norm_conv(channels, channels, 1), nn.ReLU())


def _norm_conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def _backbone(size: ImageSize) -> SmallNet | HRNet:
    shrink = {"small": 2, "hrnet": 4}
    if size.backbone not in shrink:
        raise ConfigError(f"image backbone '{size.backbone}' is unknown; choose from {', '.join(shrink)}")
    if size.crop_px != HEAT_MAP * shrink[size.backbone]:
        raise ConfigError(f"backbone '{size.backbone}' takes crops of {HEAT_MAP * shrink[size.backbone]} pixels a side")
    return SmallNet() if size.backbone == "small" else HRNet(HRNetSize(size.width))


def load_image(path: Path) -> ImageMesh:
    """Image network of a weights file; AssetError with the cure if it is missing."""
    if not path.is_file():
        raise AssetError(
            f"no image weights at {path}; train them with: hmr train image, and name the file in"
            " posture.image_weights, or use posture.mesh2d 'keypoints'"
        )
    state, size, _ = read_weights(path, "image")
    network = ImageMesh(ImageSize(**size))
    network.load_state_dict(state)
    return network.eval()
