"""Libraries that only some formats need."""

from __future__ import annotations

import importlib
from typing import Any

from hmr_ros.errors import AssetError


def needed(module: str, what: str) -> Any:
    """The module; AssetError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise AssetError(f"{what} needs {error.name}: pip install 'hmr_ros[exchange]' or {error.name}") from error
