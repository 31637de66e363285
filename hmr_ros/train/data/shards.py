"""Training sets made in files by several processes: what is finished is kept, what is missing is made."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hmr_ros.errors import InputError
from hmr_ros.io.results import made_folder, save_text
from hmr_ros.runtime.model_card import file_hash

SHARD = 500  # people a file: what is lost when the making is stopped


def make_shards(
    out: Path, name: str, count: int, workers: int, make: Callable[..., None], options: Mapping[str, Any],
    inputs: Mapping[str, Path] | None = None,
) -> None:  # fmt: skip
    """Call `make(file, index, people, **options)` in a process of its own for every file of `out` that is missing.

    `inputs`: files that `make` reads of itself. They and the options are kept beside the files, so that a folder holds
    people of one kind; InputError where it was begun with others. A last file of fewer people than it has now is made
    anew.
    """
    settings = _plain({**options, **(inputs or {})})
    made_folder(out)
    files = [out / f"{name}_{k:05d}.npz" for k in range(-(-count // SHARD))]
    people = [min(SHARD, count - k * SHARD) for k in range(len(files))]
    note = out / f"{name}.json"
    short = _checked(note, files, settings)
    for file, wanted in zip(files, people, strict=True):
        if short.get(file.name, SHARD) < wanted:
            file.unlink(missing_ok=True)
            del short[file.name]
    missing = [k for k, file in enumerate(files) if not file.exists()]
    if note.exists() or len(missing) == len(files):
        short |= {files[k].name: people[k] for k in missing if people[k] < SHARD}
        save_text(note, json.dumps({"settings": settings, "short": short}, indent=1) + "\n")
    # not forked: a lock that a thread of ours holds would stay locked in the copy for ever
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(make, files[k], k, people[k], **options) for k in missing]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit=f"x{SHARD}", desc=name):
            job.result()
    print(f"{count} {name} in {out}")


def _checked(note: Path, files: list[Path], now: dict[str, Any]) -> dict[str, int]:
    """How many people the short files hold; InputError where the folder was begun with other settings than `now`."""
    if not note.exists():
        if any(file.exists() for file in files):  # of a version that kept no note
            print(f"{note.parent} does not say how its files were made: make sure that the options are the same")
        return {}
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        then, short = dict(before["settings"]), dict(before["short"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"cannot read {note}; remove {note.parent}, it is made anew then") from error
    pairs = {key: (then.get(key), now.get(key)) for key in {**then, **now}}
    other = [_said(key, *pair) for key, pair in pairs.items() if _content(pair[0]) != _content(pair[1])]
    if other:
        raise InputError(
            f"{note.parent} was begun with {', '.join(other)}; give the same options, or another --out for other people"
        )
    return short


def _content(value: Any) -> Any:
    if isinstance(value, list):
        return [_content(part) for part in value]
    return value.get("sha256") if isinstance(value, Mapping) else value  # of a file, whatever its name


def _said(option: str, then: Any, now: Any) -> str:
    """An option as the folder was begun with."""
    files = [part for part in (then, now) if isinstance(part, Mapping) or (isinstance(part, list) and _names(part))]
    if len(files) == 2:
        return f"another file as --{option} ({_names(then)}, now {_names(now)})"
    if isinstance(then, bool) or isinstance(now, bool):
        return f"--{option}" if then else f"no --{option}"
    said = " ".join(map(str, then)) if isinstance(then, list) else then
    return f"--{option} {said}"


def _names(files: Any) -> str:
    """Of one file or several; empty where these are none."""
    listed = files if isinstance(files, list) else [files]
    return " ".join(str(part.get("name")) for part in listed if isinstance(part, Mapping))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back; of a file its name and what is in it."""
    return dict(json.loads(json.dumps({key: _noted(value) for key, value in settings.items()})))


def _noted(value: Any) -> Any:
    if isinstance(value, Path):
        return _file(value)
    return [_noted(part) for part in value] if isinstance(value, list) else value


def _file(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": file_hash(path)}
