"""The only reader of YAML files, which are not trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hmr_ros.errors import ConfigError

_LARGEST_YAML = 4 << 20  # bytes


def load_yaml(path: Path | str) -> Any:
    """Tree of a YAML file. OSError where it cannot be read; ValueError says in one line why it is not YAML.

    Aliases are refused: a few lines of them stand for gigabytes, and no file of ours needs them.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_YAML + 1)
        if len(content) > _LARGEST_YAML:
            raise ValueError(f"it is larger than {_LARGEST_YAML >> 20} MiB")
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


def flattened(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a tree of settings."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
