"""Names of files for C++ libraries, which take UTF-8 alone and end the process at anything else."""

from __future__ import annotations

import functools
import itertools
import tempfile
from pathlib import Path

_count = itertools.count()


def native_path(path: str | Path) -> str:
    """`path`, or where its name is not UTF-8 a link to it; the file need not exist yet."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        suffix = Path(path).suffix.encode(errors="ignore").decode()
        link = Path(_folder().name) / f"{next(_count)}{suffix}"
        link.symlink_to(Path(path).absolute())
        return str(link)
    return text


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Of the links; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="hmr_")
