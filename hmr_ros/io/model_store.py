"""Model files that come out of published packages: fetched once, checked, kept in a cache."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hmr_ros.errors import AssetError

_WHEEL = "mediapipe==0.10.21"
_PLATFORM = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]  # the models inside are data
_NPM_PACKAGE = "@mediapipe/pose@0.5.1675469404"
_NPM_REGISTRY = "https://registry.npmjs.org"
_NPM_TIMEOUT_S = 20.0
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
HEAVY = "pose_landmark_heavy.tflite"
_HEAVY_MEMBER = "package/pose_landmark_heavy.tflite"  # no wheel has it; the package for browsers does
_HEAVY_SHA256 = "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"


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


def heavy_landmarks(cache: Path | None = None) -> Path:
    """The larger landmark model (Apache-2.0, 28 MB) from the cache; fetched from the npm registry where it is missing
    or damaged ($NPM_CONFIG_REGISTRY, else the public one).

    Raises AssetError with the cure when it cannot be had.
    """
    cache = cache or cache_folder()
    if not _is_good(cache / HEAVY, _HEAVY_SHA256):
        _fetch_heavy(cache)
    return cache / HEAVY


def landmark_models(network: str) -> tuple[Path, ...]:
    """The models that `tracker.landmark_network` names, the one that places the next crop first: the smaller one loses
    nobody in real footage, the larger one does."""
    full = () if network == "heavy" else (blazepose_models().landmarks,)
    return (*full, heavy_landmarks()) if network in ("heavy", "both") else full


def asset_status(cache: Path | None = None) -> list[tuple[str, Path, bool, bool]]:
    """(name, path, present, checksum right) of every model file that the default needs."""
    cache = cache or cache_folder()
    return [(n, cache / n, (cache / n).is_file(), _is_good(cache / n, sha)) for n, (_, sha) in _MEMBERS.items()]


def heavy_status(cache: Path | None = None) -> tuple[Path, bool]:
    """Path of the larger landmark model, and whether it is there and whole."""
    path = (cache or cache_folder()) / HEAVY
    return path, _is_good(path, _HEAVY_SHA256)


def _is_good(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size) == sha256


@functools.cache  # several ask for the same file at start-up
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # they tell this file from a later one of the same name
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        with zipfile.ZipFile(wheel) as archive:
            for name, (member, sha256) in _MEMBERS.items():
                _keep(archive.read(member), sha256, cache / name, f"{member} in {wheel.name}", _WHEEL)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise AssetError(f"cannot unpack {wheel.name} into {cache}: {error}; set HMR_CACHE to a folder") from error


def _fetch_heavy(cache: Path) -> None:
    named = [value for name, value in os.environ.items() if name.upper() == "NPM_CONFIG_REGISTRY" and value]
    registry = named[0] if named else _NPM_REGISTRY
    name, _, version = _NPM_PACKAGE.rpartition("@")
    url = f"{registry.rstrip('/')}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pose.tgz"
        try:
            with urllib.request.urlopen(url, timeout=_NPM_TIMEOUT_S) as answer:
                package.write_bytes(answer.read())
        except (OSError, ValueError) as error:  # URLError, timeouts and bad addresses
            said = error.reason if isinstance(error, urllib.error.URLError) else error
            raise AssetError(
                f"cannot fetch the larger landmark network ({said}); run `npm pack {_NPM_PACKAGE}` where there is a"
                f" network and unpack {HEAVY} into {cache}, or set tracker.landmark_network to full"
            ) from error
        unpack_heavy(package, cache)


def unpack_heavy(package: Path, cache: Path) -> None:
    """Take the larger landmark model out of the npm package (.tgz) into `cache`, if its checksum is right."""
    try:
        with tarfile.open(package) as archive:
            member = archive.extractfile(_HEAVY_MEMBER)
            data = member.read() if member else b""
        _keep(data, _HEAVY_SHA256, cache / HEAVY, f"{_HEAVY_MEMBER} in {package.name}", _NPM_PACKAGE)
    except (OSError, KeyError, EOFError, tarfile.TarError) as error:
        raise AssetError(f"cannot unpack {package.name} into {cache}: {error}; set HMR_CACHE to a folder") from error


def _keep(data: bytes, sha256: str, path: Path, what: str, wanted: str) -> None:
    """Write checked data; another process never sees half a file."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise AssetError(f"{what} is not the expected file; use exactly {wanted}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def share_file(name: str) -> Path:
    """Path of a shared file such as `config/live.yaml`; AssetError if no prefix has it."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    roots = [Path(__file__).parents[2], *(Path(p) / "share/hmr_ros" for p in [*prefixes, sys.prefix])]
    for root in roots:
        if (root / name).is_file():
            return root / name
    raise AssetError(f"{name} is not installed; run `make setup`, or source the workspace that holds hmr_ros")


def asset(name: str) -> Path:
    """Path of a file that ships with the package; "" is their folder."""
    return Path(str(files("hmr_ros") / "assets" / name))
