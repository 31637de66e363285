"""Whether intrinsics can belong to an image: what no camera has is refused before people are placed by it."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.types import Camera, Floats

# focal length as a part of the longer side: from 157 degrees across it to 1.9, beyond any lens that sees whole people
_FOCAL = (0.1, 30.0)
_ASPECT = 4.0  # of a pixel: sensors with lines left out have 2
_FARTHEST = 1.0  # principal point from the middle of the image, in longer sides: shifted and cropped images are nearer
_STRETCH = (0.4, 10.0)  # ideal by distorted radius at the edge of the image: fisheye lenses in pinhole models reach 4
_FOLD = 0.75  # of the way to that edge: calibrations are often bent beyond the last target that was seen
_SKEW = 0.1  # of the focal length
_RAYS = np.geomspace(1e-3, 20.0, 600)  # distance from the axis of the rays that are tried, at z = 1
_DIRECTIONS = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)


def check_camera(camera: Camera) -> Camera:
    """The same camera; InputError where no lens and sensor have such a matrix or distortion at this image's size.

    Width and height must be known. What is refused: focal length or principal point far out of proportion to the image,
    a matrix that is not one of intrinsics, distortion that folds the image over inside.
    """
    D = None if camera.distortion is None else np.asarray(camera.distortion, np.float64).tobytes()
    K = np.asarray(camera.K, np.float64).tobytes()
    problem = _problem(K, D, camera.fisheye, camera.width, camera.height)  # a node asks for every image
    if problem:
        raise InputError(f"{problem}; calibrate the camera, or correct the calibration")
    return camera


@functools.lru_cache(maxsize=64)
def _problem(K_bytes: bytes, D_bytes: bytes | None, fisheye: bool, width: int, height: int) -> str:
    K = np.frombuffer(K_bytes).reshape(3, 3)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    longer, name = max(width, height), f"of an image of {width}x{height}"
    if abs(K[1, 0]) > 1e-6 or np.abs(K[2] - [0, 0, 1]).max() > 1e-6 or abs(K[0, 1]) > _SKEW * fx:
        return f"camera matrix {np.round(K, 3).tolist()} is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
    if not (_FOCAL[0] * longer <= min(fx, fy) and max(fx, fy) <= _FOCAL[1] * longer):
        return f"focal length {fx:.6g}, {fy:.6g} px cannot be that {name}"
    if not 1 / _ASPECT <= fx / fy <= _ASPECT:
        return f"focal lengths {fx:.6g} and {fy:.6g} px differ too much for one camera"
    if max(abs(cx - width / 2), abs(cy - height / 2)) > _FARTHEST * longer:
        return f"principal point ({cx:.6g}, {cy:.6g}) px cannot be that {name}"
    D = np.zeros(0) if D_bytes is None else np.frombuffer(D_bytes)
    with np.errstate(all="ignore"):  # huge coefficients overflow, and fold
        return _folding(D, fisheye, 0.5 * longer / max(fx, fy), [float(f"{d:.4g}") for d in D]) if D.any() else ""


def _folding(D: Floats, fisheye: bool, edge: float, shown: list[float]) -> str:
    """What is wrong with distortion on the way to the `edge`, the middle of the longer side's end at z = 1."""
    if not np.isfinite(D).all():
        return "distortion holds numbers that are not finite"
    along = _radial(D, fisheye)  # [directions,rays]: how far from the axis the ray lands, in its own direction
    for reached in along:
        grows = np.flatnonzero(~(np.diff(reached) > 0))  # NaN counts as a fold
        last = int(grows[0]) if grows.size else len(_RAYS) - 1
        if fisheye and last == len(_RAYS) - 1:
            continue  # all that a pinhole can show is seen
        if not reached[last] >= _FOLD * edge:
            return f"distortion {shown} folds the image over at {max(0.0, reached[last]) / edge:.0%} of its half"
        ideal = _RAYS[int(np.argmax(reached >= min(edge, reached[last])))]
        if not _STRETCH[0] <= ideal / edge <= _STRETCH[1] and not fisheye:
            return f"distortion {shown} moves the edge of the image by a factor of {edge / ideal:.3g}"
    return ""


def _radial(D: Floats, fisheye: bool) -> Floats:
    """[directions,rays] distance from the axis at which rays land, measured in their own direction, at z = 1."""
    if fisheye:
        angle = np.arctan(_RAYS)
        powers = angle[:, None] ** np.arange(3, 3 + 2 * D.size, 2)
        return np.asarray((angle + powers @ D)[None])
    directions = np.stack([np.cos(_DIRECTIONS), np.sin(_DIRECTIONS)], -1)
    rays = _RAYS[None, :, None] * directions[:, None]
    points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1).reshape(-1, 1, 3)
    landed, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), D)
    return np.asarray(np.einsum("drk,dk->dr", np.asarray(landed).reshape(rays.shape), directions))
