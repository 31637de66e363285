"""What the image itself says of the limbs: the limb network on the features of BlazePose's first network."""

from __future__ import annotations

from hmr_ros.geometry.crops import crop_matrix, invert_affine, transform_points
from hmr_ros.runtime.contract import Engine, Signature
from hmr_ros.types import Floats, LimbsSeen, Roi

# as in `networks.limbs.LimbModule`
LIMBS = Signature("limbs", {"features": (32, 32, 32)}, {"points": (12, 2), "sines": (12,), "sigma": (12,)})


class LimbReader:
    """Stateless: features of a crop -> how the bones lean there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, features: Floats, roi: Roi) -> LimbsSeen:
        """`features` [32,32,32] of the crop `roi`."""
        found = self._engine({"features": features[None]})
        points, sines, sigma = (found[name][0].astype(float) for name in LIMBS.outputs)
        # a roi is a crop of side one, and its middle lies at one half
        return LimbsSeen(transform_points(invert_affine(crop_matrix(roi, 1)), points + 0.5), sines, sigma)
