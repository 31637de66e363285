"""The only reader of YAML: bounded, without aliases, errors in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hmr_ros.errors import ConfigError

_LARGEST = 4 << 20  # bytes


def load_yaml(path: Path | str) -> Any:
    """Tree of a YAML file. OSError where it cannot be read; ValueError says in one line why it is not YAML.

    Aliases are refused: a few lines of them stand for gigabytes, and no file of ours needs them.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content, yaml.SafeLoader)):
            raise ValueError("it has aliases (*name); write the values out")
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def named_yaml(path: Path | str, what: str, cure: str) -> Any:
    """As `load_yaml`; ConfigError says of `what` ("config file") why it cannot be read, and the `cure`."""
    try:
        return load_yaml(path)
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}; {cure}") from error
    except ValueError as error:
        raise ConfigError(f"{what} {path} is not valid YAML: {error}") from error
