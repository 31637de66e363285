"""Pairs for training: what BlazePose says about a rendered picture, and the person that was rendered."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.io.assets import blazepose_models
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.stages.keypoints import Landmarker
from hmr_ros.train.people import picture, random_person
from hmr_ros.train.poses import PoseSampler, load_recorded
from hmr_ros.types import Floats

SHARD = 500  # pairs a file: what is lost when the making is stopped


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

    def __len__(self) -> int:
        return len(self.pose)


def make_pairs(motion: Path, out: Path, *, count: int, seed: int, workers: int, plain: bool, body: str | None) -> int:
    """`hmr train pairs`: render `count` people and run the landmark network on them; finished files are kept."""
    if count < 1 or workers < 1:
        raise ConfigError("--count and --workers must be 1 or more")
    load_recorded(motion)  # fail here, not in a worker
    blazepose_models()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; choose another folder") from error
    shards = [k for k in range(-(-count // SHARD)) if not _file(out, k).exists()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_shard, motion, _file(out, k), min(SHARD, count - k * SHARD), seed, k, plain, body)
            for k in shards
        ]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit=f"x{SHARD}", desc="pairs"):
            job.result()
    print(f"{count} pairs in {out}")
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
    return PairSet(**{k: np.concatenate([p[k] for p in parts]).astype(np.float32) for k in PairSet.__annotations__})


def _file(out: Path, index: int) -> Path:
    return out / f"pairs_{index:05d}.npz"


def _shard(motion: Path, path: Path, count: int, seed: int, index: int, plain: bool, body_file: str | None) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    body = load_body(body_file)
    landmarker = Landmarker(blazepose_models().landmarks, 1)
    rng = np.random.default_rng([seed, index])
    sampler = PoseSampler(load_recorded(motion), rng)
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        person = random_person(body, sampler, rng, plain)
        found = landmarker(picture(body, person, rng), person.roi)
        rows.append(
            {
                "pose": person.pose, "betas": person.betas, "transl": person.transl, "K": person.K,
                "keypoints_2d": found.keypoints_2d, "keypoints_3d": found.keypoints_3d, "score": found.score,
            }
        )  # fmt: skip
    save_arrays(path, **{k: np.array([r[k] for r in rows], np.float32) for k in rows[0]})
