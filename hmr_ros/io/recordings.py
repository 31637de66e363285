"""Files of a recording as the `rosbags` library reads them: without metadata, cut, or whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmr_ros.errors import InputError
from hmr_ros.io import cut_mcap, cut_ros1, cut_sqlite

_SUFFIXES = (".mcap", ".db3")


def recordings(path: Path) -> tuple[list[Any], list[str]]:
    """What to give to AnyReader for the recording at `path`, and what is wrong with it, with its repair.

    InputError where a folder holds no recording, OSError where a file cannot be read.
    """
    notes: list[str] = []
    if not path.is_dir():
        return [_mended(path, notes)], notes
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if (path / "metadata.yaml").exists():
        if not any(cut_mcap.lacks_end(file) or cut_sqlite.lacks_end(file) for file in files):
            return [path], notes
    elif not files:
        raise InputError(f"folder {path} holds no recording: no metadata.yaml, no .mcap, no .db3")
    else:
        notes.append(f"{path} has no metadata.yaml: its files are read one by one; `ros2 bag reindex {path}` makes it")
    return [_mended(file, notes) for file in files], notes


def _mended(file: Path, notes: list[str]) -> Any:
    if cut_mcap.lacks_end(file):
        notes.append(f"{file} lacks its end: all before it is read; `mcap recover {file}` repairs it")
        return cut_mcap.mended(file)
    if cut_ros1.lacks_end(file):
        notes.append(f"{file} lacks its index: all before the cut is read; `rosbag reindex {file}` repairs it")
        return cut_ros1.mended(file)
    if cut_sqlite.lacks_end(file):
        repair = f"`sqlite3 {file} .recover | sqlite3 repaired.db3`"
        notes.append(f"{file} lacks its end: all before it is read; {repair} repairs it")
        return cut_sqlite.mended(file)
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        notes.append(f"{log} holds messages that are not read; `sqlite3 {file} 'PRAGMA wal_checkpoint'` brings them in")
    return file


def cure(path: Path) -> str:
    """What repairs a recording that the library does not open; empty where nothing is known."""
    files = [path] if path.is_file() else sorted(path.glob("*.db3"))
    if not files or files[-1].suffix != ".db3":
        return ""
    return f"; `sqlite3 {files[-1]} .recover | sqlite3 repaired.db3` saves what is whole"
