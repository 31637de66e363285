"""Several cameras from one file: a node each in a namespace of its own, the processor's cores divided among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmr_ros.config import named_yaml
from hmr_ros.errors import ConfigError
from hmr_ros.ros.start_arguments import LAUNCH_ONLY, START_ARGUMENTS, launched_node

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_EXAMPLE = "cameras: {left: {image_topic: /left/image_raw}, right: {image_topic: /right/image_raw}}"


def read_cameras(path: Path | str) -> dict[str, dict[str, str]]:
    """Start arguments (name -> text) of each camera of a file; ConfigError says what is wrong with it.

    A camera's name becomes its namespace, so people's ids and frames do not collide: left_0, body_left_0.
    """
    tree = named_yaml(path, "cameras file", "check cameras:=")
    cameras = tree.get("cameras") if isinstance(tree, dict) else None
    if not isinstance(cameras, dict) or not cameras:
        raise ConfigError(f"cameras file {path} names no cameras; it looks like {_EXAMPLE}")
    return {str(name): _arguments(path, str(name), given) for name, given in cameras.items()}


def camera_nodes(
    path: Path | str, common: Mapping[str, str], cores: int, environment: Mapping[str, str], profile: str
) -> list[dict[str, Any]]:
    """What launch's action `Node` gets for each camera of the file.

    `common` start arguments hold for all; a camera's own go before them. Each node has an equal share of `cores`.
    """
    cameras = read_cameras(path)
    threads = max(1, cores // len(cameras))
    nodes = []
    for name, own in cameras.items():
        namespace = "/".join(filter(None, [common.get("namespace", "").strip("/"), name]))
        given = {**common, **own, "namespace": namespace}
        arguments = launched_node(given, environment, profile)
        arguments["parameters"] = [*arguments["parameters"], {"threads": threads}]
        nodes.append(arguments)
    return nodes


def _arguments(path: Path | str, name: str, given: Any) -> dict[str, str]:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"cameras file {path}: '{name}' is no name of a namespace; use letters, digits and _")
    if not isinstance(given, dict):
        raise ConfigError(f"cameras file {path}: camera '{name}' has no settings; it looks like {_EXAMPLE}")
    known = [a.name for a in START_ARGUMENTS if a.name not in ("namespace", *LAUNCH_ONLY)]
    unknown = [str(k) for k in given if k not in known]
    if unknown:
        raise ConfigError(f"cameras file {path}: camera '{name}' has '{unknown[0]}'; give {', '.join(known)}")
    if not given.get("image_topic"):
        raise ConfigError(f"cameras file {path}: camera '{name}' has no image_topic")
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in given.items()}
