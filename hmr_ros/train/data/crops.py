"""Crops for the image network: rendered people with the true 2D points of each.

Made in files by `hmr train crops`, read as a `CropSet`, drawn in batches from a `CropBank`: turned, shifted, grown,
mirrored, recoloured and partly covered.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.coarse import JOINT_IDS, CoarseMesh, coarse_of, point_pairs
from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import crop_matrix, smooth_crop, transform_points
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.synth import LOOKS
from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import Person, random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.train.data.shards import make_shards
from hmr_ros.types import Floats, Image, Ints, Roi

MARGIN = 1.4  # side of a stored crop in sides of the person's roi, so that it can be shifted, grown and turned
_QUALITY = 92
_FAR = 4.0  # crop sides; what lies further out is as good as there
# standard deviations of the augmentation: of roi sides, of log size, of the angle
_SHIFT, _SCALE, _TURN_DEG = 0.05, 0.1, 12.0
_FAR_TURN_DEG = 60.0


@dataclass(frozen=True)
class CropSet:
    """N stored crops; keys of the files, whose `jpeg` is one after the other."""

    jpeg: list[Image]  # N coded BGR images [S,S,3]
    points: Floats  # [N,448,2] crop sides from the middle (joints, coarse vertices), float32
    side_px: int

    def __len__(self) -> int:
        return len(self.jpeg)


def make_crops(
    motion: Path, out: Path, *, count: int, side: int, seed: int, workers: int, plain: bool, look: str = LOOKS[0]
) -> int:
    """`hmr train crops`: render `count` people as `side` x `side` images; finished files are kept."""
    if count < 1 or workers < 1:
        raise ConfigError("--count and --workers must be 1 or more")
    if not 64 <= side <= 1024:
        raise ConfigError(f"--side {side} is out of range (64 to 1024)")
    load_recorded(motion)  # fail here, not in a worker
    options = {"motion": motion, "side": side, "seed": seed, "plain": plain, "look": look}
    make_shards(out, "crops", count, workers, _shard, options)
    return 0


def load_crops(*folders: Path) -> CropSet:
    """All finished files of the folders, in order; they must agree in size."""
    jpeg: list[Image] = []
    points, sides = [], set()
    for folder in folders:
        files = sorted(folder.glob("crops_*.npz"))
        if not files:
            raise InputError(f"no crops in {folder}; make them with: hmr train crops --motion FILE --out {folder}")
        for file in files:
            arrays = load_arrays(file)
            jpeg += np.split(arrays["jpeg"], arrays["ends"][:-1])
            points.append(arrays["points"].astype(np.float32))
            sides.add(int(arrays["side_px"]))
    if len(sides) > 1:
        raise InputError(f"the crops have sides of {sorted(sides)} pixels; give folders made with one --side")
    return CropSet(jpeg, np.concatenate(points), sides.pop())


def person_crop(image: Image, person: Person, mesh: CoarseMesh, side: int) -> tuple[Image, Floats]:
    """Crop [side,side,3] with a margin around the roi, and the 448 points [448,2] in crop sides from its middle."""
    roi = Roi(person.roi.center_px, MARGIN * person.roi.size_px, person.roi.angle_rad)
    xyz = np.concatenate([person.joints[JOINT_IDS], person.vertices[mesh.vertex_ids]])
    points = transform_points(crop_matrix(roi, side), project(xyz, person.K)) / side - 0.5
    return smooth_crop(image, roi, side), np.clip(points, -_FAR, _FAR)


def decoded(jpeg: Ints) -> Image:
    """BGR image [S,S,3]."""
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def _shard(path: Path, index: int, count: int, motion: Path, side: int, seed: int, plain: bool, look: str) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)  # the workers are the threads
    body = load_body(None)
    mesh = coarse_of(body)
    rng = np.random.default_rng([seed, index])
    sampler = PoseSampler(load_recorded(motion), rng)
    coded, points = [], []
    for _ in range(count):
        person = random_person(body, sampler, rng, plain)
        image = rendered_image(body, person, random_appearance(body, person, rng, plain, look), rng)
        crop, uv = person_crop(image, person, mesh, side)
        coded.append(np.asarray(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]).reshape(-1))
        points.append(uv)
    save_arrays(
        path, jpeg=np.concatenate(coded), ends=np.cumsum([len(c) for c in coded]), side_px=np.array(side),
        points=np.array(points, np.float16),
    )  # fmt: skip


@dataclass(frozen=True)
class CropBatch:
    """B crops and the points of the people in them."""

    images: Tensor  # [B,3,S,S] uint8 BGR
    points: Tensor  # [B,448,2] crop sides from the middle

    def to(self, device: str) -> CropBatch:
        """The same on another device."""
        return CropBatch(self.images.to(device), self.points.to(device))

    def inputs(self) -> Tensor:
        """What the network takes: [B,3,S,S], 0..1."""
        return self.images.float() / 255.0


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
        images = np.stack([p for p, _ in drawn]).transpose(0, 3, 1, 2)
        points = np.stack([q for _, q in drawn]).astype(np.float32)
        return CropBatch(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(points))

    def _draw(self, i: int, rng: np.random.Generator, augment: bool) -> tuple[Image, Floats]:
        side, px = self._crops.side_px, self._crop_px
        roi = Roi(np.full(2, side / 2), side / MARGIN, 0.0)
        if augment:
            turn = rng.uniform(-_FAR_TURN_DEG, _FAR_TURN_DEG) if rng.random() < 0.1 else rng.normal(0, _TURN_DEG)
            shift = rng.normal(0, _SHIFT, 2) * roi.size_px
            roi = Roi(roi.center_px + shift, roi.size_px * np.exp(rng.normal(0, _SCALE)), np.radians(turn))
        image = smooth_crop(decoded(self._crops.jpeg[i]), roi, px)
        stored = (self._crops.points[i] + 0.5) * side
        points = transform_points(crop_matrix(roi, px), stored) / px - 0.5
        if not augment:
            return image, points
        if rng.random() < 0.5:
            # pixel k becomes S - 1 - k, and the middle between them is half a pixel off that of the crop
            image, points = image[:, ::-1], points[self._mirrored] * [-1.0, 1.0] - [1 / px, 0.0]
        return covered(recoloured(image, rng), rng), points


def recoloured(image: Image, rng: np.random.Generator) -> Image:
    """Other light, colours and sharpness."""
    out = image.astype(np.float32)
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


def covered(image: Image, rng: np.random.Generator) -> Image:
    """Up to two rectangles of one colour, or of another part of the image, over some images."""
    if rng.random() > 0.4:
        return image
    out, side = image.copy(), len(image)
    for _ in range(int(rng.integers(1, 3))):
        h, w = rng.integers(side // 12, side // 3, 2)
        (y, from_y), (x, from_x) = rng.integers(0, side - h, 2), rng.integers(0, side - w, 2)
        piece = image[from_y : from_y + h, from_x : from_x + w]
        out[y : y + h, x : x + w] = piece if rng.random() < 0.5 else rng.integers(0, 256, 3)
    return out
