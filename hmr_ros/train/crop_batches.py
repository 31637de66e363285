"""Batches for the image network: stored crops turned, mirrored, recoloured and covered every time they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.coarse import CoarseMesh, point_pairs
from hmr_ros.geometry.crops import crop_matrix, smooth_crop, transform_points
from hmr_ros.train.crops import MARGIN, CropSet, decoded
from hmr_ros.types import Floats, Image, Ints, Roi

_SHIFT, _SCALE, _TURN_DEG = 0.05, 0.1, 12.0  # spreads; of roi sides, of log size, of the angle
_FAR_TURN_DEG = 60.0


@dataclass(frozen=True)
class CropBatch:
    """B crops and the points of the people in them."""

    pictures: Tensor  # [B,3,S,S] uint8 BGR
    points: Tensor  # [B,448,2] crop sides from the middle

    def to(self, device: str) -> CropBatch:
        """The same on another device."""
        return CropBatch(self.pictures.to(device), self.points.to(device))

    def inputs(self) -> Tensor:
        """What the network takes: [B,3,S,S], 0..1."""
        return self.pictures.float() / 255.0


class CropBank:
    """Crops in memory as they were stored, ready to be drawn from."""

    def __init__(self, crops: CropSet, mesh: CoarseMesh, crop_px: int) -> None:
        self._crops, self._crop_px = crops, crop_px
        self._mirrored = point_pairs(mesh)

    def __len__(self) -> int:
        return len(self._crops)

    def batch(self, index: Ints, rng: np.random.Generator, *, augment: bool) -> CropBatch:
        """Crops with these indices; without `augment` as the tracker's roi would cut them."""
        drawn = [self._draw(int(i), rng, augment) for i in index]
        pictures = np.stack([p for p, _ in drawn]).transpose(0, 3, 1, 2)
        points = np.stack([q for _, q in drawn]).astype(np.float32)
        return CropBatch(torch.from_numpy(np.ascontiguousarray(pictures)), torch.from_numpy(points))

    def _draw(self, i: int, rng: np.random.Generator, augment: bool) -> tuple[Image, Floats]:
        side, px = self._crops.side_px, self._crop_px
        roi = Roi(np.full(2, side / 2), side / MARGIN, 0.0)
        if augment:
            turn = rng.uniform(-_FAR_TURN_DEG, _FAR_TURN_DEG) if rng.random() < 0.1 else rng.normal(0, _TURN_DEG)
            shift = rng.normal(0, _SHIFT, 2) * roi.size_px
            roi = Roi(roi.center_px + shift, roi.size_px * np.exp(rng.normal(0, _SCALE)), np.radians(turn))
        picture = smooth_crop(decoded(self._crops.jpeg[i]), roi, px)
        stored = (self._crops.points[i] + 0.5) * side
        points = transform_points(crop_matrix(roi, px), stored) / px - 0.5
        if not augment:
            return picture, points
        if rng.random() < 0.5:
            # pixel k becomes S - 1 - k, and the middle between them is half a pixel off that of the crop
            picture, points = picture[:, ::-1], points[self._mirrored] * [-1.0, 1.0] - [1 / px, 0.0]
        return covered(recoloured(picture, rng), rng), points


def recoloured(picture: Image, rng: np.random.Generator) -> Image:
    """Other light, colours and sharpness."""
    out = picture.astype(np.float32)
    if rng.random() < 0.1:
        out[:] = out.mean(-1, keepdims=True)
    if rng.random() < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.5)))
    gain = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.1, 3)).astype(np.float32)
    middle = np.float32(out.mean())
    out = (out - middle) * gain + middle + np.float32(rng.normal(0, 15)) + rng.normal(0, 8, 3).astype(np.float32)
    if rng.random() < 0.3:
        out += np.float32(rng.uniform(2, 12)) * rng.standard_normal(out.shape, np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)


def covered(picture: Image, rng: np.random.Generator) -> Image:
    """Up to two rectangles of one colour, or of another part of the picture, over some pictures."""
    if rng.random() > 0.4:
        return picture
    out, side = picture.copy(), len(picture)
    for _ in range(int(rng.integers(1, 3))):
        h, w = rng.integers(side // 12, side // 3, 2)
        (y, from_y), (x, from_x) = rng.integers(0, side - h, 2), rng.integers(0, side - w, 2)
        piece = picture[from_y : from_y + h, from_x : from_x + w]
        out[y : y + h, x : x + w] = piece if rng.random() < 0.5 else rng.integers(0, 256, 3)
    return out
