"""Writes config/live.yaml anew from the settings in hmr_ros/config.py: `python scripts/write_live_yaml.py`."""

from __future__ import annotations

import json
from pathlib import Path

from hmr_ros.config import settings
from hmr_ros.ros.parameters import described

HEAD = """\
# Every parameter of the node `hmr` with its default. `hmr run --config` and `hmr bag --config` read the same file.
# hmr live config:=FILE   |   ros2 launch hmr_ros live.launch.py config:=FILE
/**:
  ros__parameters:
"""


def main() -> None:
    """One line of explanation and one of value a setting."""
    lines, group = [], ""
    for setting in settings():
        prefix, _, name = setting.name.rpartition(".")
        if prefix != group:
            lines.append(f"    {prefix}:")
            group = prefix
        indent = "      " if prefix else "    "
        lines += [f"{indent}# {described(setting)}", f"{indent}{name}: {json.dumps(setting.default)}"]
    file = Path(__file__).parents[1] / "config" / "live.yaml"
    file.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
