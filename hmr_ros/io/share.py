"""Where the files beside the code are: config/, launch/ and msg/, in the source tree or in an installed prefix."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hmr_ros.errors import AssetError


def share_file(name: str) -> Path:
    """Path of a shared file such as `config/live.yaml`; AssetError if no prefix has it."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    roots = [Path(__file__).parents[2], *(Path(p) / "share/hmr_ros" for p in [*prefixes, sys.prefix])]
    for root in roots:
        if (root / name).is_file():
            return root / name
    raise AssetError(f"{name} is not installed; run `make setup`, or source the workspace that holds hmr_ros")
