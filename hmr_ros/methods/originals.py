"""The shipped networks in torch, by name, as engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError
from hmr_ros.methods.posturehmr.graphs import load_decoder_module, load_image_module, load_torch_posture
from hmr_ros.methods.posturehmr.sources import DECODER, image_signature
from hmr_ros.methods.scorehmr.streaming import torch_refine
from hmr_ros.runtime.contract import POSTURE
from hmr_ros.runtime.torch import TorchEngine


def original(network: str, setting: int) -> TorchEngine:
    """See `choice.Wish` for the setting."""
    return _ORIGINALS[network](setting)


def torch_image(crop_px: int | None = None, weights: Path | None = None) -> TorchEngine:
    """The image network; `weights` = a file other than the shipped one. ConfigError if it takes other crops."""
    module = load_image_module(weights)
    if crop_px not in (None, module.crop_px):
        raise ConfigError(f"the image network takes crops of {module.crop_px} pixels, not {crop_px}")
    return TorchEngine(module, image_signature(module.crop_px))


def torch_decoder(steps: int) -> TorchEngine:
    """The decoder behind the image network."""
    return TorchEngine(load_decoder_module(load_body(None), steps), DECODER)


def _posture(steps: int) -> TorchEngine:
    return TorchEngine(load_torch_posture(load_body(None), steps).module, POSTURE)


_ORIGINALS: dict[str, Callable[[int], TorchEngine]] = {
    "posture": _posture,
    "refine": torch_refine,
    "image": torch_image,
    "decoder": torch_decoder,
}
