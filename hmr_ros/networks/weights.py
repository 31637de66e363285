"""Weights on disk: safetensors with the network's name, sizes and origin in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hmr_ros.errors import AssetError, InputError


def save_weights(path: Path, name: str, network: nn.Module, size: Any, notes: dict[str, Any]) -> None:
    """Parameters as float16 (half the file, joints move by less than 0.1 mm); `size` is the network's dataclass."""
    header = {"network": name, "size": json.dumps(asdict(size)), "notes": json.dumps(notes, default=str)}
    write_tensors(path, {k: v.detach().cpu() for k, v in network.state_dict().items()}, header)


def read_weights(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """State dict (float32), sizes and notes of a file of `save_weights`."""
    if not path.is_file():
        raise AssetError(f"no weights at {path}; reinstall hmr_ros, or train them with: hmr train {name}")
    try:
        state, header = read_tensors(path)
        if header.get("network") != name:
            raise AssetError(f"{path} holds '{header.get('network')}', not '{name}'; give the right file")
        return state, json.loads(header["size"]), json.loads(header["notes"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise AssetError(f"cannot read {path} ({error}); reinstall hmr_ros or train: hmr train {name}") from error


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """A weight file, in float16; InputError where it cannot be written."""
    partial = path.with_suffix(".part")  # a file of that name is a whole one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.half().contiguous() for k, v in tensors.items()}, str(partial), metadata=header)
        partial.chmod(0o644)  # safetensors makes files that only their owner can read
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"cannot write {path} ({error}); give --out where there is room, and may be written"
        ) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """State (float32) and header of a weight file; SafetensorError or OSError where it is none."""
    with safe_open(str(path), framework="pt") as f:
        return {k: f.get_tensor(k).to(torch.float32) for k in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118
