"""The protocols by name: what of a data set each of them judges."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hmr_ros.errors import InputError
from hmr_ros.evaluate.protocols import emdb, h36m, threedpw
from hmr_ros.evaluate.protocols.sequence import Sequence
from hmr_ros.evaluate.protocols.smpl_files import SmplFiles

PROTOCOLS = ("3dpw", "emdb", "emdb2", "h36m", "h36m-p1")
SPLITS = threedpw.SPLITS


def sequences(protocol: str, folder: Path, smpl: SmplFiles | None, split: str = "test") -> Iterator[Sequence]:
    """Those that count, one at a time: 3DPW's `split`; EMDB 1 or 2; Human3.6M's protocol 2 or 1. InputError."""
    if protocol == "3dpw":
        load, found = partial(threedpw.load, smpl=smpl), threedpw.find(folder, split)
        yield from map(load, found)
    elif protocol in ("emdb", "emdb2"):
        part = {"emdb": "emdb1"}.get(protocol, protocol)
        count = 0
        for path in emdb.find(folder):
            sequence = emdb.load(path, smpl, part)
            if sequence is not None:
                count += 1
                yield sequence
        if not count:
            raise InputError(f"no sequence of {folder} belongs to {part.upper()}; unpack those of its list there")
    else:
        yield from map(h36m.load, h36m.find(folder, 2 if protocol == "h36m" else 1))
