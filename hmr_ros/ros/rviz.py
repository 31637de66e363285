"""RViz's set-up for a node in a namespace and a fixed frame, from config/hmr.rviz."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from hmr_ros.yaml_files import load_yaml

_NODE = "/hmr/"
_FRAME = "camera_optical_frame"


def rviz_setup(template: Path | str, namespace: str = "", fixed_frame: str = "") -> str:
    """Text of a set-up that shows the topics of NAMESPACE/hmr in `fixed_frame` (empty: as the template says)."""
    tree = load_yaml(template)
    manager = tree["Visualization Manager"]
    manager["Global Options"]["Fixed Frame"] = fixed_frame or _FRAME
    prefix = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    for display in manager["Displays"]:
        if str(display.get("Topic", {}).get("Value", "")).startswith(_NODE):
            display["Topic"]["Value"] = prefix + display["Topic"]["Value"]
    return yaml.safe_dump(tree, sort_keys=False)


def rviz_file(template: Path | str, given: Mapping[str, str]) -> str:
    """Path of a new set-up file for the start arguments (name -> text) of a launch file."""
    text = rviz_setup(template, given.get("namespace", ""), given.get("fixed_frame") or given.get("target_frame", ""))
    with tempfile.NamedTemporaryFile("w", prefix="hmr_", suffix=".rviz", delete=False, encoding="utf-8") as file:
        file.write(text)
    return file.name
