"""What a worker does: one item after another with models that are loaded once, what is said goes to the item's log."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2

from hmr_ros.commands.bag import bag
from hmr_ros.commands.batch.items import Item, Options
from hmr_ros.commands.run import run
from hmr_ros.commands.tracks import TrackTable
from hmr_ros.errors import HmrError
from hmr_ros.factory import Built, build_for_files
from hmr_ros.io.results import made_folder, save_text

RECORD, LOG = "item.json", "log.txt"
_BAG = "bag"


@dataclass(frozen=True)
class Outcome:
    """What became of an item; written as item.json into its folder when it has ended."""

    name: str
    source: str
    kind: str
    key: str
    status: str  # done, failed (trying again would not help), crashed or interrupted
    error: str = ""
    frames: int = 0
    seconds: float = 0.0
    attempts: int = 1
    peak_mb: float = 0.0  # memory that its worker had taken so far; 0: not known
    tracks: list[dict[str, Any]] = field(default_factory=list)  # see `TrackTable.rows`

    def save(self, folder: Path) -> None:
        """Write it; a reader never sees half of it."""
        partial = folder / f".{RECORD}"
        save_text(partial, json.dumps(asdict(self), indent=2) + "\n")
        partial.replace(folder / RECORD)


def read_outcome(folder: Path) -> Outcome | None:
    """Of an earlier run; None where there is none, or another program's."""
    try:
        return Outcome(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Worker:
    """Lives in a process of its own. Errors become outcomes, never exceptions."""

    def __init__(self, options: Options, out: str) -> None:
        self._options, self._out = options, Path(out)
        cv2.setNumThreads(options.config.threads)  # by default one for each core of the machine, in every worker
        self._built: Built | None = None  # with the first item, so that its errors are that item's

    def process(self, item: Item, key: str) -> Outcome:
        """Run one item into its folder."""
        folder = self._out / item.name
        start = time.monotonic()
        tracks = TrackTable()
        try:
            made_folder(folder)
            (folder / RECORD).unlink(missing_ok=True)
            with _said_to(folder / LOG):
                code = self._run(item, folder, tracks)
            status, error = ("interrupted", "") if code else ("done", "")
        except HmrError as refused:
            status, error = "failed", str(refused)
        except KeyboardInterrupt:
            status, error = "interrupted", ""
        except Exception as unexpected:
            self._built = None  # in an unknown state
            status, error = "crashed", f"{type(unexpected).__name__}: {unexpected}"
        rows = tracks.rows() if status == "done" else []
        seconds = time.monotonic() - start
        return Outcome(
            item.name, item.source, item.kind, key, status, error, tracks.frames, seconds=seconds, peak_mb=_peak_mb(),
            tracks=rows,
        )  # fmt: skip

    def _run(self, item: Item, folder: Path, tracks: TrackTable) -> int:
        options = self._options
        if self._built is None:
            self._built = build_for_files(options.config, quality=options.quality, as_live=options.fast)
        common: dict[str, Any] = {
            "camera_text": options.camera_text, "max_frames": options.max_frames, "quality": options.quality,
            "built": self._built, "tracks": tracks,
        }  # fmt: skip
        if item.kind == "video":
            return run(item.source, folder, options.config, overlay=options.overlay, overlap=options.overlap, **common)
        target, partial = folder / _BAG, folder / f"{_BAG}.partial"
        for old in (target, partial):
            shutil.rmtree(old, ignore_errors=True)
        code = bag(Path(item.source), partial, options.config, topic=None, **common)
        partial.rename(target)
        return code


def _peak_mb() -> float:
    """The most memory that this process has had."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)  # bytes there, KiB elsewhere


@contextmanager
def _said_to(log: Path) -> Iterator[None]:
    """Everything that is printed meanwhile, by libraries too, goes to a file; tracebacks as well."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("ab", buffering=0) as file:
        try:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
            yield
        except Exception:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, old in zip((1, 2), kept, strict=True):
                os.dup2(old, stream)
                os.close(old)
