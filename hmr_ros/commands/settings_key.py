"""What decides a result, as a hash: settings with what is in the files that they name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hmr_ros import __version__
from hmr_ros.config import HmrConfig
from hmr_ros.runtime.model_card import file_hash

_NOT_RESULTS = ("threads", "engine")  # settings that change how fast an answer comes, not the answer


def settings_key(config: HmrConfig, *more: Any) -> str:
    """Of this version, the settings and `more` (what JSON can hold); OSError where a file that they name cannot be
    read."""
    settings = {name: value for name, value in asdict(config).items() if name not in _NOT_RESULTS}
    said = _with_contents([__version__, settings, more])
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _with_contents(value: Any) -> Any:
    """The same with what is in a file (camera, body, weights) in place of its name."""
    if isinstance(value, dict):
        return {name: _with_contents(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_contents(part) for part in value]
    if isinstance(value, str) and value and Path(value).is_file():
        return file_hash(Path(value))
    return value
