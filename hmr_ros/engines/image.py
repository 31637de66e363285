"""The image network and the decoder behind it on any engines."""

from __future__ import annotations

import numpy as np

from hmr_ros.engines.contract import POSTURE, Engine, Signature
from hmr_ros.posture.contract import Posture
from hmr_ros.types import Floats, Image

IMAGE_CROP_PX = 128  # of the shipped network
DECODER = Signature("decoder", {"mesh": (81, 2), "sigma": (81,)} | POSTURE.inputs, POSTURE.outputs)


def image_signature(crop_px: int) -> Signature:
    """Names and sizes as in `posture.image.ImageModule.forward`."""
    return Signature("image", {"pictures": (3, crop_px, crop_px)}, {"mesh": (81, 2), "sigma": (81,)})


class EngineImagePosture:
    """`stages.image.ImageNetwork` on two engines."""

    def __init__(self, image: Engine, decoder: Engine) -> None:
        self._image, self._decoder = image, decoder
        self.crop_px = image.signature.inputs["pictures"][-1]

    def look(self, crops: Image) -> tuple[Floats, Floats]:
        """See `ImageNetwork`."""
        found = self._image({"pictures": crops.transpose(0, 3, 1, 2).astype(np.float32) / 255.0})
        return found["mesh"].astype(float), found["sigma"].astype(float)

    def decode(self, mesh: Floats, sigma: Floats, points: Floats, log_scale: Floats) -> Posture:
        """See `ImageNetwork`."""
        found = self._decoder({"mesh": mesh, "sigma": sigma, "points": points, "log_scale": log_scale})
        return Posture(*(found[name].astype(float) for name in DECODER.outputs))
