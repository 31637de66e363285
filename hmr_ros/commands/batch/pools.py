"""Where workers live: processes of this machine, or actors of Ray; either way one that dies costs its item alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from hmr_ros.commands.batch.items import Item, Options
from hmr_ros.commands.batch.work import Outcome, Worker
from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.runtime.cores import usable_cores

LOCAL, NONE = "local", "none"
_QUIET = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
_DIED = "its worker died: out of memory, or a crash in a library (see its log.txt)"
_worker: Worker | None = None  # of this process, where it is a worker's


class Pool(Protocol):
    """Workers that each take one item at a time."""

    size: int

    def submit(self, worker: int, item: Item, key: str) -> None:
        """Give an idle worker an item."""
        ...

    def outcome(self) -> tuple[int, Item, Outcome | None]:
        """Wait for the next worker that has ended: which, its item, and the outcome; None: it died and was replaced."""
        ...

    def __enter__(self) -> Pool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_pool(ray: str, workers: int, options: Options, out: Path) -> Pool:
    """`ray`: an address, "local", "none" for processes, "" for local Ray where it is installed."""
    if ray == NONE or (not ray and not _has_ray()):
        return ProcessPool(workers, options, out)
    return RayPool(ray or LOCAL, workers, options, out)


def worked_off(
    pool: Pool, todo: list[tuple[Item, str]], retries: int
) -> Iterator[tuple[Item, str, Outcome | None, int]]:
    """Every item with its key, outcome and number of attempts, as they end; crashes are tried again."""
    waiting = [(item, key, 1) for item, key in reversed(todo)]
    running: dict[int, tuple[str, int]] = {}
    idle = list(range(pool.size))
    while waiting or running:
        while waiting and idle:
            item, key, attempt = waiting.pop()
            worker = idle.pop()
            running[worker] = key, attempt
            pool.submit(worker, item, key)
        worker, item, outcome = pool.outcome()
        key, attempt = running.pop(worker)
        idle.append(worker)
        if attempt <= retries and (outcome is None or outcome.status == "crashed"):
            waiting.append((item, key, attempt + 1))
        else:
            yield item, key, outcome, attempt


def died(item: Item, key: str) -> Outcome:
    """What became of an item whose worker did not come back."""
    return Outcome(item.name, item.source, item.kind, key, "crashed", _DIED)


class ProcessPool:
    """One executor with one process for each worker, so that a dead one breaks nobody else's."""

    def __init__(self, size: int, options: Options, out: Path) -> None:
        self.size = size
        self._started = options, str(out)
        os.environ.update(_QUIET)  # read when a worker's libraries are loaded
        self._executors = [self._executor() for _ in range(size)]
        self._futures: dict[Future[Outcome], tuple[int, Item]] = {}

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # items that are under way begin anew the next time
            for child in multiprocessing.active_children():
                child.terminate()
        for executor in self._executors:
            executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, worker: int, item: Item, key: str) -> None:
        """As in `Pool`."""
        try:
            future = self._executors[worker].submit(_process, item, key)
        except BrokenProcessPool:  # died between two items
            self._executors[worker] = self._executor()
            future = self._executors[worker].submit(_process, item, key)
        self._futures[future] = worker, item

    def outcome(self) -> tuple[int, Item, Outcome | None]:
        """As in `Pool`."""
        ended, _ = wait(self._futures, return_when=FIRST_COMPLETED)
        future = ended.pop()
        worker, item = self._futures.pop(future)
        try:
            return worker, item, future.result()
        except BrokenProcessPool:
            self._executors[worker] = self._executor()
            return worker, item, None

    def _executor(self) -> ProcessPoolExecutor:
        # not forked: the networks' threads would not survive it
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=spawn, initializer=_start, initargs=self._started)


class RayPool:
    """One Ray actor for each worker; inputs and results lie on a file system that all nodes share."""

    def __init__(self, address: str, size: int, options: Options, out: Path) -> None:
        self.size = size
        self._ray = _ray()
        try:
            where: dict[str, Any] = {"num_cpus": max(size, usable_cores()), "include_dashboard": False}
            self._ray.init(
                **(where if address == LOCAL else {"address": address}), log_to_driver=False, logging_level="ERROR",
                runtime_env={"env_vars": _QUIET},
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            said = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"no Ray cluster at {address}: {said}; start one with ray start, or --ray none"
            ) from error
        threads = max(1, options.config.threads)
        self._actor = self._ray.remote(num_cpus=threads)(Worker)
        self._started = options, str(out)
        self._actors = [self._actor.remote(*self._started) for _ in range(size)]
        self._running: dict[Any, tuple[int, Item]] = {}

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def submit(self, worker: int, item: Item, key: str) -> None:
        """As in `Pool`."""
        self._running[self._actors[worker].process.remote(item, key)] = worker, item

    def outcome(self) -> tuple[int, Item, Outcome | None]:
        """As in `Pool`."""
        (reference,), _ = self._ray.wait(list(self._running), num_returns=1)
        worker, item = self._running.pop(reference)
        try:
            return worker, item, self._ray.get(reference)
        except self._ray.exceptions.RayError:
            self._actors[worker] = self._actor.remote(*self._started)
            return worker, item, None


def _start(options: Options, out: str) -> None:
    global _worker  # noqa: PLW0603  # a process has one worker
    _worker = Worker(options, out)


def _process(item: Item, key: str) -> Outcome:
    assert _worker is not None
    return _worker.process(item, key)


def _has_ray() -> bool:
    try:
        _ray()
    except AssetError:
        return False
    return True


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise AssetError("--ray needs Ray: pip install 'hmr_ros[ray]', or --ray none for processes") from error
    return ray
