"""Pairs for training: what BlazePose says about a rendered image, and the person that was rendered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body.joints import DIRECTED_BONES
from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.evidence.keypoints import Normalised, normalise
from hmr_ros.evidence.leans import with_leans
from hmr_ros.factory import choose_engine
from hmr_ros.io.model_store import asset, landmark_models
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.limbs import LimbReader
from hmr_ros.perception.sides import SideMemory
from hmr_ros.synth import LOOKS
from hmr_ros.synth.appearance import random_appearance, rendered_image
from hmr_ros.synth.people import Person, random_motion, random_person
from hmr_ros.synth.poses import PoseSampler, load_recorded
from hmr_ros.train.data.shards import make_shards
from hmr_ros.types import Floats, Image, Ints, Keypoints, LimbsSeen

_LIMBS = len(DIRECTED_BONES), 4
_LOST = 0.5  # score below which the tracker searches anew


@dataclass(frozen=True)
class PairSet:
    """N rendered people; keys and shapes of the files."""

    pose: Floats  # [N,72] rad, global_orient in the camera frame
    betas: Floats  # [N,10]
    transl: Floats  # [N,3] m
    K: Floats  # [N,3,3] of the rendered window
    keypoints_2d: Floats  # [N,33,3] px, px, confidence
    keypoints_3d: Floats  # [N,33,3] m, camera axes, origin at the mid hip
    score: Floats  # [N]
    heat: Floats  # [N,33,6] as in `Keypoints`; NaN in files made without it
    limbs: Floats  # [N,12,4] `LimbsSeen`: px, px, sine, sigma; NaN where the limb network did not look
    sequence: Floats  # [N] number of the moving person in its file; -1 = a single image
    time: Floats  # [N] s since the person's first image

    def __len__(self) -> int:
        return len(self.pose)


def make_pairs(
    motion: Path, out: Path, *, count: int, seed: int, workers: int, plain: bool, frames: int, networks: Sequence[str],
    body: str | None, look: str = LOOKS[0],
) -> int:  # fmt: skip
    """`hmr train pairs`: render `count` images and run each of the landmark networks on them, for one pair each;
    finished files are kept.

    `frames` > 1: the images are pieces of so many frames, in which the person moves and is tracked.
    """
    if count < 1 or workers < 1 or frames < 1:
        raise ConfigError("--count, --workers and --frames must be 1 or more")
    load_recorded(motion)  # fail here, not in a worker
    for network in networks:
        landmark_models(network)
    options = {
        "motion": motion, "seed": seed, "plain": plain, "frames": frames, "networks": list(networks), "look": look,
        "body": body,
    }  # fmt: skip
    make_shards(out, "pairs", count, workers, _shard, options, {"limbs": asset("limbs.safetensors")})
    return 0


def load_pairs(*folders: Path) -> PairSet:
    """All finished files of the folders, in order."""
    files: list[Path] = []
    for folder in folders:
        found = sorted(folder.glob("pairs_*.npz"))
        if not found:
            raise InputError(f"no pairs in {folder}; make them with: hmr train pairs --motion FILE --out {folder}")
        files += found
    parts = [load_arrays(f) for f in files]
    for part in parts:  # files of single images may lack these
        part.setdefault("sequence", np.full(len(part["pose"]), -1.0))
        part.setdefault("time", np.zeros(len(part["pose"])))
        part.setdefault("heat", np.full((len(part["pose"]), 33, 6), np.nan))
        part.setdefault("limbs", np.full((len(part["pose"]), *_LIMBS), np.nan))
    return PairSet(**{k: np.concatenate([p[k] for p in parts]).astype(np.float32) for k in PairSet.__annotations__})


def taken(pairs: PairSet, rows: Ints) -> PairSet:
    """Some of the pairs, in this order."""
    return PairSet(**{name: getattr(pairs, name)[rows] for name in PairSet.__annotations__})


def seen_of(pairs: PairSet) -> Normalised:
    """All of them as evidence has them: aimed at, at unit size, with what the limb network said."""
    keypoints, K = pairs.keypoints_2d.astype(np.float64), pairs.K.astype(np.float64)
    rays = (keypoints[..., :2] - K[:, None, :2, 2]) / K[:, None, [0, 1], [0, 1]]
    seen = normalise(rays, keypoints[..., 2], pairs.keypoints_3d.astype(np.float64))
    return with_leans(seen, [limbs_of(pairs, i) for i in range(len(pairs))], keypoints)


def limbs_of(pairs: PairSet, row: int) -> LimbsSeen | None:
    """What the limb network said of one of them."""
    limbs = pairs.limbs[row].astype(np.float64)
    return LimbsSeen(limbs[:, :2], limbs[:, 2], limbs[:, 3]) if np.isfinite(limbs[0, 0]) else None


def _shard(
    path: Path, index: int, count: int, motion: Path, seed: int, plain: bool, frames: int, networks: list[str],
    body: str | None, look: str,
) -> None:  # fmt: skip
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model = load_body(body)
    landmarkers = [Landmarker(landmark_models(n), 1, limbs=_limbs(n)) for n in networks]
    rng = np.random.default_rng([seed, index])
    sampler = PoseSampler(load_recorded(motion), rng)
    rows: list[dict[str, Any]] = []
    made = number = 0
    while made < count:
        if frames > 1:
            people, seconds = random_motion(model, sampler, rng, plain, frames)
        else:
            people, seconds = [random_person(model, sampler, rng, plain)], 0.0
        appearance = random_appearance(model, people[0], rng, plain, look)
        people = people[: count - made]
        images = [rendered_image(model, person, appearance, rng) for person in people]
        for landmarker in landmarkers:
            found = _follow(landmarker, images, people, seconds)
            for k, (person, seen) in enumerate(zip(people, found, strict=True)):
                rows.append(
                    {
                        "pose": person.pose, "betas": person.betas, "transl": person.transl, "K": person.K,
                        "keypoints_2d": seen.keypoints_2d, "keypoints_3d": seen.keypoints_3d, "score": seen.score,
                        "heat": np.full((33, 6), np.nan) if seen.heat is None else seen.heat,
                        "limbs": _limb_rows(seen.limbs),
                        "sequence": number if frames > 1 else -1, "time": k * seconds,
                    }
                )  # fmt: skip
            number += 1
        made += len(people)
    save_arrays(path, **{k: np.array([r[k] for r in rows], np.float32) for k in rows[0]})


def _limbs(network: str) -> LimbReader | None:
    """On one engine, whatever the machine has; None where the features are not those of `full`."""
    if network == "heavy":
        return None
    return LimbReader(choose_engine(HmrConfig(threads=1, engine="onnxruntime"), "limbs").engine)


def _limb_rows(limbs: LimbsSeen | None) -> Floats:
    if limbs is None:
        return np.full(_LIMBS, np.nan)
    return np.concatenate([limbs.points_2d, limbs.sines[:, None], limbs.sigma[:, None]], 1)


def _follow(landmarker: Landmarker, images: list[Image], people: list[Person], seconds: float) -> list[Keypoints]:
    """Landmarks of one person from image to image, each searched where the last one says, as the tracker does."""
    found: list[Keypoints] = []
    sides: SideMemory | None = None
    for image, person in zip(images, people, strict=True):
        lost = not found or found[-1].score < _LOST
        seen = landmarker(image, person.roi if lost else found[-1].next_roi)
        if sides is None:
            sides = SideMemory(seen)
        elif seen.score >= _LOST:
            seen = sides.corrected(seen, seconds)
        found.append(seen)
    return found
