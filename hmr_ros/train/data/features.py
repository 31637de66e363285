"""Features of rendered people for the limb network: what `full` holds of a crop half-way through, and the true joints.

Made in files by `hmr train features`, read as a `FeatureSet`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hmr_ros.body.joints import DIRECTED_BONES_SMPL, SMPL_MIRRORED
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.evidence.keypoints import aim
from hmr_ros.geometry.crops import crop_axes
from hmr_ros.io.model_store import landmark_models
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.networks.limbs import SIZE, SIZE_BONES
from hmr_ros.networks.trunk import MAP_SIZE
from hmr_ros.perception.landmarks import FEATURE_MAP, INPUT_PX, feature_network, network_input
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.synth import LOOKS
from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import Person, random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.train.data.shards import make_shards
from hmr_ros.types import Array, Floats, Image, Ints, Roi

if TYPE_CHECKING:
    from jaxtyping import Float

# standard deviations of how the second crop of a person lies: of roi sides, of log size, rad
_SHIFT, _GROWTH, _TURN = 0.03, 0.06, 0.1
_RARE = 0.5  # of the people: in poses that are drawn with rare ones ten times as often
_BONES = np.array(SIZE_BONES)


@dataclass(frozen=True)
class FeatureSet:
    """N crops; keys of the files."""

    features: Float[Array, "N 32 32 32"]  # float16, as the landmark network computes them of the crop
    joints: Float[Array, "N 24 3"]  # m, camera frame
    K: Float[Array, "N 3 3"]
    center_px: Float[Array, "N 2"]  # of the crop, as in `Roi`
    size_px: Float[Array, " N"]
    angle_rad: Float[Array, " N"]
    mirrored: Ints  # [N] 1: the network saw the crop's mirror image

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class LimbTruth:
    """What is true of N crops, as in `networks.limbs.LimbAnswer`, in the mirror image where the network saw that."""

    joints: Float[Array, "N 24 3"]
    points: Float[Array, "N 24 2"]
    sines: Float[Array, "N 12"]
    unit_m: Float[Array, " N"]  # of `joints`


def make_features(
    motion: list[Path], out: Path, *, count: int, seed: int, workers: int, plain: bool, look: str = LOOKS[0]
) -> int:
    """`hmr train features`: render `count` people, two crops each, one of them mirrored; finished files are kept."""
    if count < 1 or workers < 1:
        raise ConfigError("--count and --workers must be 1 or more")
    load_recorded(*motion)  # fail here, not in a worker
    landmark_models("full")
    options = {"motion": motion, "seed": seed, "plain": plain, "look": look}
    make_shards(out, "features", count, workers, _shard, options)
    return 0


def load_features(*folders: Path) -> FeatureSet:
    """All finished files of the folders, in order."""
    files: list[Path] = []
    for folder in folders:
        found = sorted(folder.glob("features_*.npz"))
        if not found:
            raise InputError(f"no features in {folder}; make them: hmr train features --motion FILE --out {folder}")
        files += found
    small: list[dict[str, Floats]] = []
    maps: list[Floats] = []
    for file in files:
        arrays = load_arrays(file)
        maps.append(arrays.pop("features"))
        small.append({name: arrays[name] for name in FeatureSet.__annotations__ if name != "features"})
    rest = {name: np.concatenate([part[name] for part in small]) for name in small[0]}
    features = np.empty((len(rest["size_px"]), *MAP_SIZE), np.float16)
    at = 0
    while maps:  # one after the other, so that they are not in memory twice
        part = maps.pop(0)
        features[at : at + len(part)] = part
        at += len(part)
    return FeatureSet(features=features, **rest)


def truth_of(people: FeatureSet) -> LimbTruth:
    """In the axes of the network's answer."""
    middle = people.center_px.astype(float)
    K = people.K.astype(float)
    joints = people.joints.astype(float)
    rays = (middle - K[:, :2, 2]) / K[:, [0, 1], [0, 1]]
    turn = crop_axes(people.angle_rad.astype(float))
    seen = joints @ aim(rays) @ np.swapaxes(turn, 1, 2)
    pixels = joints @ np.swapaxes(K, 1, 2)
    away = pixels[..., :2] / pixels[..., 2:] - middle[:, None]
    points = away @ np.swapaxes(turn[:, :2, :2], 1, 2) / people.size_px.astype(float)[:, None, None]
    mirrored = people.mirrored.astype(bool)
    seen[mirrored] = seen[mirrored][:, SMPL_MIRRORED] * [-1.0, 1.0, 1.0]
    # pixel k becomes S - 1 - k, and the middle between them is half a pixel off that of the crop
    points[mirrored] = points[mirrored][:, SMPL_MIRRORED] * [-1.0, 1.0] - [1 / INPUT_PX, 0.0]
    size = np.linalg.norm(seen[:, _BONES[:, 1]] - seen[:, _BONES[:, 0]], axis=-1).sum(1)
    unit_m = size / SIZE
    alike = (seen - seen[:, :1]) / unit_m[:, None, None]
    return LimbTruth(*(a.astype(np.float32) for a in (alike, points, sines_of(seen, DIRECTED_BONES_SMPL), unit_m)))


def sines_of(joints: Floats, bones: Ints) -> Floats:
    """How `bones` [M,2] of `joints` [N,J,3] lean against the line of sight through their middles: [N,M], 1 = away."""
    along = joints[:, bones[:, 1]] - joints[:, bones[:, 0]]
    sight = joints[:, bones].sum(2)
    lengths = np.linalg.norm(along, axis=-1) * np.linalg.norm(sight, axis=-1)
    return np.asarray((along * sight).sum(-1) / np.maximum(lengths, 1e-9))


def _shard(path: Path, index: int, count: int, motion: list[Path], seed: int, plain: bool, look: str) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    body = load_body(None)
    network = feature_network(landmark_models("full")[0], 1)
    rng = np.random.default_rng([seed, index])
    sampler = PoseSampler(load_recorded(*motion), rng, 0.0 if plain else _RARE)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        rows += _seen(body, network, sampler, rng, plain, look)
    arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    save_arrays(path, **{k: v.astype(np.float16 if k == "features" else np.float32) for k, v in arrays.items()})


def _seen(
    body: BodyModel, network: LiteRtModel, sampler: PoseSampler, rng: np.random.Generator, plain: bool, look: str
) -> list[dict[str, Any]]:
    """One person: the crop that the tracker would cut, and one beside it."""
    person = random_person(body, sampler, rng, plain)
    image = rendered_image(body, person, random_appearance(body, person, rng, plain, look), rng)
    first_mirrored = bool(rng.random() < 0.5)
    return [
        _row(network, image, person, roi, mirrored)
        for roi, mirrored in ((person.roi, first_mirrored), (_beside(person.roi, rng), not first_mirrored))
    ]


def _row(network: LiteRtModel, image: Image, person: Person, roi: Roi, mirrored: bool) -> dict[str, Any]:
    rgb = network_input(image, roi)
    said = network(rgb[:, :, ::-1] if mirrored else rgb)
    return {
        "features": said[FEATURE_MAP][0], "joints": person.joints, "K": person.K,
        "center_px": roi.center_px, "size_px": roi.size_px, "angle_rad": roi.angle_rad, "mirrored": mirrored,
    }  # fmt: skip


def _beside(roi: Roi, rng: np.random.Generator) -> Roi:
    shift = rng.normal(0, _SHIFT, 2) * roi.size_px
    size = roi.size_px * np.exp(rng.normal(0, _GROWTH))
    return Roi(roi.center_px + shift, float(size), float(roi.angle_rad + rng.normal(0, _TURN)))
