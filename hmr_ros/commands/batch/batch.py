"""`hmr batch`: many inputs, resumable: what is done is kept, what fails is reported and does not stop the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from hmr_ros.commands.batch.items import Item, Options, items_of, key_of, with_whole_paths
from hmr_ros.commands.batch.manifest import save_manifest
from hmr_ros.commands.batch.pools import died, open_pool, worked_off
from hmr_ros.commands.batch.work import Outcome, read_outcome
from hmr_ros.errors import InputError
from hmr_ros.io.results import made_folder
from hmr_ros.runtime.cores import usable_cores

_SHOWN = 5  # failures that are named at the end


def batch(
    inputs: Sequence[str], out: Path, options: Options, *, ray: str = "", workers: int = 0, retries: int = 1
) -> int:
    """Run every input that is not done yet into OUT/NAME/, write OUT/items.csv and tracks.csv; Ctrl-C keeps what is
    done.

    `ray` as in `open_pool`. `workers` 0: as many as there are cores; the cores are divided among them. Items whose
    worker crashes or dies are tried again `retries` times. 0 = everything is done, 1 = something failed.
    """
    items = items_of(inputs)
    made_folder(out)
    workers = min(workers or usable_cores(), len(items))
    config, cores = options.config, max(1, usable_cores() // workers)
    options = replace(options, config=replace(config, threads=min(config.threads, cores)), overlap=cores > 1)
    outcomes, todo = _looked_up(items, options, out)
    kept = len(outcomes)
    interrupted = False
    with tqdm(total=len(items), initial=kept, unit="item", desc="batch") as bar:
        try:
            if todo:
                for outcome in _run(ray, min(workers, len(todo)), options, out, todo, retries):
                    outcomes[outcome.name] = outcome
                    interrupted |= outcome.status == "interrupted"
                    bar.update()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            save_manifest(out, outcomes.values())
    return _reported(list(outcomes.values()), len(items), kept, interrupted, out)


def _looked_up(items: list[Item], options: Options, out: Path) -> tuple[dict[str, Outcome], list[tuple[Item, str]]]:
    """What is done already with this input and configuration, and what is still to do, with its key."""
    outcomes: dict[str, Outcome] = {}
    todo = []
    for item in tqdm(items, unit="item", desc="inputs", leave=False):
        try:
            key = key_of(item, options)
        except InputError as error:
            outcomes[item.name] = Outcome(item.name, item.source, item.kind, "", "failed", str(error))
            continue
        before = read_outcome(out / item.name)
        if before is not None and before.key == key and before.status == "done":
            outcomes[item.name] = before
        else:
            todo.append((item, key))
    return outcomes, todo


def _run(
    ray: str, workers: int, options: Options, out: Path, todo: list[tuple[Item, str]], retries: int
) -> Iterator[Outcome]:
    with open_pool(ray, workers, with_whole_paths(options), out.absolute()) as pool:
        for item, key, answer, attempts in worked_off(pool, todo, retries):
            outcome = replace(answer or died(item, key), attempts=attempts)
            if outcome.status != "interrupted":
                made_folder(out / item.name)
                outcome.save(out / item.name)
            yield outcome


def _reported(outcomes: list[Outcome], count: int, kept: int, interrupted: bool, out: Path) -> int:
    by_status = Counter(o.status for o in outcomes)
    bad = [o for o in outcomes if o.status in ("failed", "crashed")]
    said = f"{by_status['done']} of {count} items done" + (f" ({kept} before)" if kept else "")
    print(f"{said}, {len(bad)} failed -> {out}")
    for outcome in bad[:_SHOWN]:
        print(f"{outcome.name}: {outcome.error}")
    if len(bad) > _SHOWN:
        print(f"and {len(bad) - _SHOWN} more, see {out / 'items.csv'}")
    if interrupted:
        print("interrupted: the same command goes on from here")
        return 130
    return 1 if bad else 0
