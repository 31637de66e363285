"""The mean of the weights of several trainings from the same start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hmr_ros.errors import AssetError, ConfigError, InputError


def mean_weights(files: Sequence[Path], out: Path) -> None:
    """Write the mean of weight files of `hmr train` to `out`; one that is named twice counts twice.

    They must be of one network and size, and start from the same weights: then what their trainings found adds up
    and their noise does not.
    """
    if len(files) < 2:
        raise ConfigError("the mean needs two weight files or more")
    sums: dict[str, Tensor] = {}
    headers = []
    for path in files:
        state, header = _read(path)
        headers.append(header)
        if any(header.get(key) != headers[0].get(key) for key in ("network", "size")):
            raise InputError(f"{path} is another network than {files[0]} or has another size; give files of one kind")
        sums = {k: v.double() + sums.get(k, 0.0) for k, v in state.items()}
    notes = {"mean of": [json.loads(h.get("notes", "{}")) for h in headers]}
    mean = {k: (v / len(files)).half().contiguous() for k, v in sums.items()}
    partial = out.with_suffix(".part")
    save_file(mean, str(partial), metadata=headers[0] | {"notes": json.dumps(notes)})
    partial.chmod(0o644)
    partial.replace(out)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(str(path), framework="pt") as f:
            return {k: f.get_tensor(k).to(torch.float32) for k in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AssetError(f"cannot read {path} ({error}); give weight files of hmr train") from error
