"""`hmr convert`: humans.npz to the files of other programs, one a person."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hmr_ros.errors import ConfigError, InputError
from hmr_ros.exchange.files.bvh import write_bvh
from hmr_ros.exchange.files.glb import write_glb
from hmr_ros.exchange.files.sampling import at_rate, cut_at_gaps
from hmr_ros.exchange.files.smpl import HOLOSMPL_FPS, write_amass, write_holosmpl, write_smplx
from hmr_ros.exchange.files.table import write_csv
from hmr_ros.exchange.files.tracks import MOST_FPS, Track, load_tracks
from hmr_ros.io.results import made_folder

Writer = Callable[[Track, Path], None]
# what writes it, end of the file's name, its own rate
_FORMATS: dict[str, tuple[Writer, str, float | None]] = {
    "bvh": (write_bvh, ".bvh", None),
    "bvh-lafan1": (partial(write_bvh, lafan1_axes=True), "_lafan1.bvh", None),
    "glb": (write_glb, ".glb", None),
    "amass": (write_amass, "_amass.npz", None),
    "smplx": (write_smplx, "_smplx.npz", None),
    "holosmpl": (write_holosmpl, "_holosmpl.npz", HOLOSMPL_FPS),
    "csv": (write_csv, ".csv", None),
}


def convert(
    humans: Path, formats: list[str], out: Path, *, ids: list[int] | None = None, gaps: str = "fill",
    max_gap: float = 1.0, fps: float | None = None, body: str | None = None,
) -> int:  # fmt: skip
    """Write one file a person and format to `out`.

    `gaps`: frames without the person are interpolated where they last `max_gap` seconds at most (`fill`), or the
    person's motion goes on in another file (`cut`, and longer gaps). `fps`: another rate than the source's.
    """
    if not 0 <= max_gap < np.inf:
        raise ConfigError(f"--max-gap {max_gap} is not a time; give seconds, 0 or more")
    if fps is not None and not 0 < fps <= MOST_FPS:
        raise ConfigError(f"--fps {fps} is not a frame rate; give a number above 0 and up to {MOST_FPS:.0f}")
    tracks, unplaced = load_tracks(humans, body)
    there = [t.track_id for t in tracks]
    unknown = [i for i in ids or [] if i not in there]
    if unknown:
        raise InputError(f"{humans} has no person {unknown[0]}; there are {', '.join(map(str, there))}")
    made_folder(out)
    if unplaced:
        print(f"{unplaced} rows without a finite place in the world are left out")
    for track in tracks:
        if ids and track.track_id not in ids:
            continue
        pieces = cut_at_gaps(track, max_gap if gaps == "fill" else 0.0)
        for number, piece in enumerate(pieces, 1):
            name = f"person_{track.track_id}" + (f"_part{number}" if len(pieces) > 1 else "")
            for kind in formats:
                _write(piece, kind, out / name, fps)
    return 0


def _write(piece: Track, kind: str, stem: Path, fps: float | None) -> None:
    """Write one file and say so."""
    writer, suffix, own_fps = _FORMATS[kind]
    path = stem.with_name(stem.name + suffix)
    even = at_rate(piece, own_fps or fps or piece.fps)
    writer(even, path)
    filled = int((~even.measured).sum())
    seconds = len(even.times) / even.fps
    print(
        f"{path}: {len(even.times)} frames, {seconds:.2f} s at {even.fps:g} Hz"
        + (f", {filled} interpolated" if filled else "")
    )
