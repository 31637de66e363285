"""Metadata of an exported file, and whether it still belongs to the installed weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from hmr_ros.errors import AssetError
from hmr_ros.runtime.contract import Signature

KEY = "hmr_ros"  # of the metadata entry


@dataclass(frozen=True)
class ModelCard:
    """Travels in the metadata of an ONNX file and beside a TensorRT plan."""

    signature: Signature
    settings: dict[str, int]  # e.g. steps
    opset: int
    sources: dict[str, str]  # file name -> sha256 of everything the graph was made from
    max_error: dict[str, float]  # of each output against torch, in its own unit
    made_with: dict[str, str]
    precision: str = "fp32"  # fp16: the products with weights are float16, by the types of the graph's tensors

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def outdated(self, folder: Path) -> list[str]:
        """Sources that lie in `folder` and are not those the file was made from."""
        return [n for n, sha in self.sources.items() if (folder / n).is_file() and file_hash(folder / n) != sha]


def read_card(metadata: Mapping[str, str], path: Path, network: str) -> ModelCard:
    """Card of the file at `path`; AssetError if it is not an export of `network`."""
    cure = f"it is no '{network}' of this package; make one with: hmr export {network}"
    try:
        content = json.loads(metadata[KEY])
        sizes = content["signature"]
        signature = Signature(
            sizes["network"], *({k: tuple(v) for k, v in sizes[side].items()} for side in ("inputs", "outputs"))
        )
        card = ModelCard(**(content | {"signature": signature}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AssetError(f"{path.name} has no hmr_ros metadata: {cure}") from error
    if signature.network != network:
        raise AssetError(f"{path.name} holds '{signature.network}': {cure}")
    return card


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """sha256 of each file under its name."""
    return {path.name: file_hash(path) for path in paths}


def file_hash(path: Path) -> str:
    """sha256; read again only when the file changed."""
    status = path.stat()
    return _hash(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _hash(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # only part of the key
    return hashlib.sha256(path.read_bytes()).hexdigest()
