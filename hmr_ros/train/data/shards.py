"""Training sets made in files by several processes: what is finished is kept, what is missing is made."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hmr_ros.io.results import made_folder

SHARD = 500  # people a file: what is lost when the making is stopped


def make_shards(out: Path, name: str, count: int, workers: int, make: Callable[..., None], *args: Any) -> None:
    """Call `make(file, index, people, *args)` in a process of its own for every file of `out` that is missing."""
    made_folder(out)
    files = [out / f"{name}_{k:05d}.npz" for k in range(-(-count // SHARD))]
    # not forked: a lock that a thread of ours holds would stay locked in the copy for ever
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(make, file, k, min(SHARD, count - k * SHARD), *args)
            for k, file in enumerate(files)
            if not file.exists()
        ]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit=f"x{SHARD}", desc=name):
            job.result()
    print(f"{count} {name} in {out}")
