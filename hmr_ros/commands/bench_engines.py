"""`hmr bench --engines`: the posture stage on one engine after the other, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from hmr_ros.body.loading import load_body
from hmr_ros.commands.timing import recovery_stages, row
from hmr_ros.config import ENGINES, HmrConfig
from hmr_ros.errors import ConfigError, HmrError
from hmr_ros.factory import build_recovery, choose_engine
from hmr_ros.types import Frame, Track


def compare_engines(
    config: HmrConfig, names: list[str], frame: Frame, track: Track, people: list[int], repeats: int
) -> dict[str, Any]:
    """For each engine its table and peak memory, or why it cannot run; no names: all engines."""
    unknown = [n for n in names if n not in ENGINES]
    if unknown:
        raise ConfigError(f"there is no engine '{unknown[0]}'; choose from {', '.join(ENGINES)}")
    found = {}
    for name in names or [n for n in ENGINES if n != "auto"]:
        chosen = replace(config, engine=name, recover="posture", refine="none", body="")
        # memory of one engine must not count for the next, and nothing is inherited
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            found[name] = process.submit(_measure, chosen, frame, track, people, repeats).result()
    return found


def _measure(config: HmrConfig, frame: Frame, track: Track, people: list[int], repeats: int) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        recovery = build_recovery(config, load_body(None))
        engine = choose_engine(config).engine
    except HmrError as error:
        return {"missing": str(error)}
    loaded = time.perf_counter() - start
    rows = []
    for count in people:
        crowd = [replace(track, track_id=i) for i in range(count)]
        rows += [row(name, count, t) for name, t in recovery_stages(recovery, frame, crowd, repeats).items()]
    return {
        "device": engine.device, "dtype": engine.dtype, "load_s": round(loaded, 2), "peak_memory_mb": peak_memory_mb(),
        "stages": rows,
    }  # fmt: skip


def peak_memory_mb() -> int:
    """Of this process; Linux's own counter for resource usage would carry over the parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")]
        if lines:
            return round(int(lines[0].split()[1]) / 1024)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def print_engines(found: dict[str, Any]) -> None:
    """One block an engine."""
    for name, report in found.items():
        if "missing" in report:
            print(f"engine {name}: not here: {report['missing']}")
            continue
        print(
            f"engine {name} on {report['device']}: loads in {report['load_s']} s,"
            f" peak memory of the posture stage alone {report['peak_memory_mb']} MB"
        )
        for line in report["stages"]:
            print(f"  {line['stage']:<18} {line['people']:>6} {line['p50_ms']:>8.2f} {line['p95_ms']:>8.2f}")
