"""The mean of the weights of several trainings from the same start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from hmr_ros.errors import AssetError, ConfigError, InputError
from hmr_ros.networks.weights import read_tensors, write_tensors


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
    write_tensors(out, {k: v / len(files) for k, v in sums.items()}, headers[0] | {"notes": json.dumps(notes)})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        return read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise AssetError(f"cannot read {path} ({error}); give weight files of hmr train") from error
