"""Several cameras from one file: a node each in a namespace of its own, the processor's cores divided among them; and
where they are, for the node that fuses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.io.calibration import extrinsics_of
from hmr_ros.ros.start_arguments import LAUNCHER_ONLY, START_ARGUMENTS, launched_node
from hmr_ros.yaml_files import named_yaml

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FOR_ALL = ("namespace", *LAUNCHER_ONLY)  # not one camera's
_FUSION_ONLY = ("R", "t", "humans_topic")
_EXAMPLE = "cameras: {left: {image_topic: /left/image_raw}, right: {image_topic: /right/image_raw}}"


@dataclass(frozen=True)
class FusedCamera:
    """What the node `fusion` is told of one camera."""

    humans_topic: str  # of its node
    pose: Rigid | None  # camera -> common frame; None: /tf knows


def read_cameras(path: Path | str) -> dict[str, dict[str, str]]:
    """Start arguments (name -> text) of each camera of a file; ConfigError says what is wrong with it.

    A camera's name becomes its namespace, so people's ids and frames do not collide: left_0, body_left_0.
    """
    return {name: _arguments(path, name, given) for name, given in _entries(path).items()}


def fused_cameras(path: Path | str) -> dict[str, FusedCamera]:
    """Of the same file, what the fusion of its cameras needs; ConfigError says what is wrong with it."""
    cameras = {}
    for name, given in _entries(path).items():
        topic = given.get("humans_topic", f"{name}/hmr/humans")
        if not isinstance(topic, str):
            raise ConfigError(f"cameras file {path}: humans_topic of camera '{name}' is {topic!r:.60}, not a name")
        try:
            found = extrinsics_of(given, f"cameras file {path}: camera '{name}'")
        except InputError as error:
            raise ConfigError(str(error)) from error
        cameras[name] = FusedCamera(topic, Rigid(*found).inverse if found else None)
    if len(cameras) < 2:
        raise ConfigError(f"cameras file {path} names one camera; fusion takes two or more")
    return cameras


def _entries(path: Path | str) -> dict[str, dict[str, Any]]:
    tree = named_yaml(path, "cameras file", "check cameras:=")
    cameras = tree.get("cameras") if isinstance(tree, dict) else None
    if not isinstance(cameras, dict) or not cameras:
        raise ConfigError(f"cameras file {path} names no cameras; it looks like {_EXAMPLE}")
    for name, given in cameras.items():
        if not _NAME.fullmatch(str(name)):
            raise ConfigError(f"cameras file {path}: '{name}' is no name of a namespace; use letters, digits and _")
        if not isinstance(given, dict):
            raise ConfigError(f"cameras file {path}: camera '{name}' has no settings; it looks like {_EXAMPLE}")
        known = [*(a.name for a in START_ARGUMENTS if a.name not in _FOR_ALL), *_FUSION_ONLY]
        unknown = [str(k) for k in given if k not in known]
        if unknown:
            raise ConfigError(f"cameras file {path}: camera '{name}' has '{unknown[0]}'; give {', '.join(known)}")
    return {str(name): given for name, given in cameras.items()}


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


def _arguments(path: Path | str, name: str, given: dict[str, Any]) -> dict[str, str]:
    if not given.get("image_topic"):
        raise ConfigError(f"cameras file {path}: camera '{name}' has no image_topic")
    texts = {k: v for k, v in given.items() if k not in _FUSION_ONLY}
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in texts.items()}
