"""Point the message packages' CMake files at this interpreter.

The ROS wheels were built elsewhere: their exported targets name the Python and NumPy include folders of that machine.
Run with the environment's own Python; running it again changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy

_FOREIGN = re.compile(r"/[^\s;\"]*?/(?:include/python3\.\d+|numpy/(?:_core|core)/include)(?=[;\"\s])")


def main() -> int:
    """Rewrite <environment>/share/**/*.cmake in place."""
    include = {"python": sysconfig.get_path("include"), "numpy": numpy.get_include()}

    def here(match: re.Match[str]) -> str:
        return include["numpy" if "numpy" in match.group() else "python"]

    changed = 0
    for file in (Path(sys.prefix) / "share").rglob("*.cmake"):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        new = _FOREIGN.sub(here, text)
        if new != text:
            file.write_text(new, encoding="utf-8", errors="surrogateescape")
            changed += 1
    print(f"{changed} CMake files now name this Python's include folders")
    return 0


if __name__ == "__main__":
    sys.exit(main())
