"""`mesh2d: image`: what the posture networks say when the 2D mesh is seen in the picture, not made of key points."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.posture import Posture
from hmr_ros.geometry.crops import crop_matrix, invert_affine, smooth_crop, transform_points
from hmr_ros.methods.posturehmr.recovery import rays_of
from hmr_ros.runtime.contract import POSTURE, Engine, Signature
from hmr_ros.types import Camera, Floats, Frame, Image, Roi, Track


class ImageNetwork(Protocol):
    """Image network and decoder, whatever runs them."""

    crop_px: int

    def look(self, crops: Image) -> tuple[Floats, Floats]:
        """Crops [N,S,S,3] BGR -> 2D mesh [N,P,2] and its sigma [N,P], in crop sides from the middle."""
        ...

    def decode(self, mesh: Floats, sigma: Floats, points: Floats, log_scale: Floats) -> Posture:
        """2D mesh and sigma in units of the person's size, `points` [N,33,6] and `log_scale` [N] of the landmarks."""
        ...


class ImagePosture:
    """`PostureSource` that looks at each person's crop: the upright square that their landmarks ask for."""

    def __init__(self, network: ImageNetwork) -> None:
        self._network = network

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """See `PostureSource`."""
        side = self._network.crop_px
        rois = [t.keypoints.next_roi for t in tracks]  # found in this frame, for the next
        mesh, sigma = self._network.look(np.stack([smooth_crop(frame.image, roi, side) for roi in rois]))
        uv, spread = aimed(mesh, sigma, rois, frame.camera, seen)
        return self._network.decode(uv, spread, seen.points, np.log(seen.scale))

    def warm_up(self) -> None:
        """Pay now for what the first run costs more."""
        side = self._network.crop_px
        self._network.look(np.zeros((1, side, side, 3), np.uint8))


def aimed(
    mesh: Floats, sigma: Floats, rois: list[Roi], camera: Camera, seen: Normalised
) -> tuple[Floats, Floats]:  # fmt: skip
    """2D mesh [N,P,2] and sigma [N,P] in crop sides of `rois` -> the same as the cameras aimed at the people see them,
    in units of the person's size."""
    # a roi is a crop of side one, and its middle lies at one half
    pixels = np.stack(
        [transform_points(invert_affine(crop_matrix(r, 1)), m + 0.5) for r, m in zip(rois, mesh, strict=True)]
    )
    rays = rays_of(pixels, camera)
    turned = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ seen.R_camera_aimed  # rows: R^T ray
    plane = turned[..., :2] / np.maximum(turned[..., 2:], 0.05)
    focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
    sides = np.array([r.size_px for r in rois]) / focal / seen.scale
    return plane / seen.scale[:, None, None], sigma * sides[:, None]


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


class EnginePosture:
    """`PostureNetwork` on an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """See `PostureNetwork`."""
        found = self.engine({"points": points, "log_scale": log_scale})
        return Posture(*(found[name].astype(float) for name in POSTURE.outputs))
