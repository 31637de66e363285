"""items.csv and tracks.csv of a batch: one row an item, and one a track of those that are done."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hmr_ros.commands.batch.work import Outcome
from hmr_ros.commands.tracks import COLUMNS
from hmr_ros.io.results import save_text

_ITEM = ("name", "source", "kind", "status", "error", "frames", "people", "seconds", "attempts", "peak_mb", "key")


def save_manifest(out: Path, outcomes: Iterable[Outcome]) -> None:
    """Write both files; a reader never sees half of one."""
    outcomes = sorted(outcomes, key=lambda o: o.name)
    items = [
        {name: getattr(o, name) for name in _ITEM if name != "people"}
        | {"people": len(o.tracks), "seconds": round(o.seconds, 2)}
        for o in outcomes
    ]
    tracks = [{"name": o.name} | track for o in outcomes if o.status == "done" for track in o.tracks]
    _save(out / "items.csv", _ITEM, items)
    _save(out / "tracks.csv", ("name", *COLUMNS), tracks)


def _save(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    partial = path.with_name(f".{path.name}")
    save_text(partial, text.getvalue().encode(errors="backslashreplace").decode())
    partial.replace(path)
