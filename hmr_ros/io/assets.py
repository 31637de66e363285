"""Model files that come out of a published wheel: fetched once, checked, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hmr_ros.errors import AssetError

_WHEEL = "mediapipe==0.10.21"
_PLATFORM = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]  # the models inside are data
_MEMBERS = {  # file in the cache -> (member of the wheel, sha256)
    "pose_detection.tflite": (
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    "pose_landmark_full.tflite": (
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
}


@dataclass(frozen=True)
class BlazePoseModels:
    """Checked model files (Apache-2.0)."""

    detector: Path
    landmarks: Path


def cache_folder() -> Path:
    """$HMR_CACHE, else $XDG_CACHE_HOME/hmr_ros, else ~/.cache/hmr_ros."""
    if own := os.environ.get("HMR_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hmr_ros"


def blazepose_models(cache: Path | None = None) -> BlazePoseModels:
    """Detector and landmark model from the cache; fetched with pip where they are missing or damaged.

    Raises AssetError with the cure when they cannot be had.
    """
    cache = cache or cache_folder()
    if not all(_is_good(cache / name, sha) for name, (_, sha) in _MEMBERS.items()):
        _fetch(cache)
    detector, landmarks = (cache / name for name in _MEMBERS)
    return BlazePoseModels(detector, landmarks)


def asset_status(cache: Path | None = None) -> list[tuple[str, Path, bool, bool]]:
    """(name, path, present, checksum right) of every model file."""
    cache = cache or cache_folder()
    return [(n, cache / n, (cache / n).is_file(), _is_good(cache / n, sha)) for n, (_, sha) in _MEMBERS.items()]


def _is_good(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _fetch(cache: Path) -> None:
    cure = f"run `pip download --no-deps {_WHEEL}` where there is a network and unpack {list(_MEMBERS)} into {cache}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", *_PLATFORM, "--dest", folder, _WHEEL]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if result.returncode or not wheels:
            lines = [line for line in result.stderr.splitlines() if "ERROR" in line]
            said = lines[-1] if lines else "pip brought no file"
            raise AssetError(f"cannot fetch the BlazePose models ({said}); {cure}")
        unpack_models(wheels[0], cache)


def unpack_models(wheel: Path, cache: Path) -> None:
    """Take the model files out of `wheel` into `cache`, each only if its checksum is right."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name, (member, sha256) in _MEMBERS.items():
                data = archive.read(member)
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise AssetError(f"{member} in {wheel.name} is not the expected file; use exactly {_WHEEL}")
                partial = cache / f".{name}.{os.getpid()}"
                partial.write_bytes(data)
                partial.replace(cache / name)  # atomic: another process never sees half a file
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise AssetError(f"cannot unpack {wheel.name} into {cache}: {error}; set HMR_CACHE to a folder") from error
