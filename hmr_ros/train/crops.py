"""Pictures for the image network: crops around rendered people with the true 2D points of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hmr_ros.body.coarse import JOINT_IDS, CoarseMesh, coarse_of
from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import crop_matrix, smooth_crop, transform_points
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.train.looks import picture, random_look
from hmr_ros.train.people import Person, random_person
from hmr_ros.train.poses import PoseSampler, load_recorded
from hmr_ros.train.shards import make_shards
from hmr_ros.types import Floats, Image, Ints, Roi

MARGIN = 1.4  # side of a stored crop in sides of the person's roi, so that it can be shifted, grown and turned
_QUALITY = 92
_FAR = 4.0  # crop sides; what lies further out is as good as there


@dataclass(frozen=True)
class CropSet:
    """N stored crops; keys of the files, whose `jpeg` is one after the other."""

    jpeg: list[Image]  # N coded BGR pictures [S,S,3]
    points: Floats  # [N,448,2] crop sides from the middle (joints, coarse vertices), float32
    side_px: int

    def __len__(self) -> int:
        return len(self.jpeg)


def make_crops(motion: Path, out: Path, *, count: int, side: int, seed: int, workers: int, plain: bool) -> int:
    """`hmr train crops`: render `count` people as `side` x `side` pictures; finished files are kept."""
    if count < 1 or workers < 1:
        raise ConfigError("--count and --workers must be 1 or more")
    if not 64 <= side <= 1024:
        raise ConfigError(f"--side {side} is out of range (64 to 1024)")
    load_recorded(motion)  # fail here, not in a worker
    make_shards(out, "crops", count, workers, _shard, motion, side, seed, plain)
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
    """BGR picture [S,S,3]."""
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def _shard(path: Path, index: int, count: int, motion: Path, side: int, seed: int, plain: bool) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)  # the workers are the threads
    body = load_body(None)
    mesh = coarse_of(body)
    rng = np.random.default_rng([seed, index])
    sampler = PoseSampler(load_recorded(motion), rng)
    coded, points = [], []
    for _ in range(count):
        person = random_person(body, sampler, rng, plain)
        image = picture(body, person, random_look(body, person, rng, plain), rng)
        crop, uv = person_crop(image, person, mesh, side)
        coded.append(np.asarray(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]).reshape(-1))
        points.append(uv)
    save_arrays(
        path, jpeg=np.concatenate(coded), ends=np.cumsum([len(c) for c in coded]), side_px=np.array(side),
        points=np.array(points, np.float16),
    )  # fmt: skip
