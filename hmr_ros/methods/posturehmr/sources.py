"""Where the 81 body points come from: the 2D mesh of the landmarks, or of the image crop, then the decoder."""

from __future__ import annotations

import numpy as np

from hmr_ros.evidence.keypoints import Normalised, aimed_plane, rays_of
from hmr_ros.evidence.record import Posture
from hmr_ros.geometry.crops import crop_matrix, invert_affine, smooth_crop, transform_points
from hmr_ros.runtime.contract import Engine, Signature
from hmr_ros.types import Camera, Floats, Frame, Image, Roi, Track

# Fields of `Posture`; the 3D ones with another name, for a graph cannot call an output like an input.
POSTURE = Signature(
    "posture",
    {"points": (33, 6), "log_scale": ()},
    {"points_2d": (81, 2), "sigma_2d": (81,), "points_3d": (81, 3), "sigma_3d": (81,)},
)
DECODER = Signature("decoder", {"mesh": (81, 2), "sigma": (81,)} | POSTURE.inputs, POSTURE.outputs)


def image_signature(crop_px: int) -> Signature:
    """Names and sizes as in `graphs.ImageModule.forward`."""
    return Signature("image", {"images": (3, crop_px, crop_px)}, {"mesh": (81, 2), "sigma": (81,)})


class PostureNetwork:
    """2D mesh of the landmarks and decoder, on any engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, points: Floats, log_scale: Floats) -> Posture:
        """`points` [N,33,6] and `log_scale` [N] as in `Normalised`."""
        found = self.engine({"points": points, "log_scale": log_scale})
        return Posture(*(found[name].astype(float) for name in POSTURE.outputs))


class KeypointPosture:
    """`posture.mesh2d: keypoints`: a `PostureSource` that asks the landmarks alone."""

    def __init__(self, engine: Engine) -> None:
        self._network = PostureNetwork(engine)

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """See `PostureSource`."""
        del frame, tracks
        return self._network(seen.points, np.log(seen.scale))


class ImagePosture:
    """`posture.mesh2d: image`: a `PostureSource` that sees each person's crop, the square that their landmarks ask for.

    Two graphs, for between them the mesh is turned from the crop to the camera aimed at the person.
    """

    def __init__(self, image: Engine, decoder: Engine) -> None:
        self._image, self._decoder = image, decoder
        self._crop_px = image.signature.inputs["images"][-1]

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """See `PostureSource`."""
        rois = [t.keypoints.next_roi for t in tracks]  # found in this frame, for the next
        mesh, sigma = self.mesh(np.stack([smooth_crop(frame.image, roi, self._crop_px) for roi in rois]))
        uv, spread = aimed(mesh, sigma, rois, frame.camera, seen)
        given = {"mesh": uv, "sigma": spread, "points": seen.points, "log_scale": np.log(seen.scale)}
        found = self._decoder(given)
        return Posture(*(found[name].astype(float) for name in DECODER.outputs))

    def mesh(self, crops: Image) -> tuple[Floats, Floats]:
        """Crops [N,S,S,3] BGR -> 2D mesh [N,P,2] and its sigma [N,P], in crop sides from the middle."""
        found = self._image({"images": crops.transpose(0, 3, 1, 2).astype(np.float32) / 255.0})
        return found["mesh"].astype(float), found["sigma"].astype(float)


def aimed(
    mesh: Floats, sigma: Floats, rois: list[Roi], camera: Camera, seen: Normalised
) -> tuple[Floats, Floats]:  # fmt: skip
    """2D mesh [N,P,2] and sigma [N,P] in crop sides of `rois` -> the same as the cameras aimed at the people see them,
    in units of the person's size."""
    # a roi is a crop of side one, and its middle lies at one half
    pixels = np.stack(
        [transform_points(invert_affine(crop_matrix(r, 1)), m + 0.5) for r, m in zip(rois, mesh, strict=True)]
    )
    plane = aimed_plane(rays_of(pixels, camera), seen.R_camera_aimed)
    focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
    sides = np.array([r.size_px for r in rois]) / focal / seen.scale
    return plane / seen.scale[:, None, None], sigma * sides[:, None]
