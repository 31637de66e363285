"""`hmr bench`: what each stage costs on this machine, for one person and for several, on one engine or on all."""

from __future__ import annotations

import json
import multiprocessing
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.commands.timing import Spent, row, times_at_30_hz
from hmr_ros.config import ENGINES, DetectorConfig, HmrConfig, TrackerConfig
from hmr_ros.errors import ConfigError, HmrError, InputError
from hmr_ros.factory import build_pipeline, build_stages, choose_engine, offline, with_own_detector
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.methods.registry import RECOVERIES
from hmr_ros.pipeline import Pipeline
from hmr_ros.runtime.cores import usable_cores
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import parse_size, render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Frame, Track


def bench(
    config: HmrConfig,
    people: list[int],
    repeats: int,
    json_path: Path | None,
    engines: list[str] | None = None,
    with_roofline: bool = False,
    sizes: tuple[str, ...] = ("640x480",),
) -> int:
    """Print a table of p50/p95/p99 in milliseconds and busy cores a stage and number of people; optionally as JSON.

    `engines`: compare the posture stage on these as well (empty: on all); `with_roofline`: the
    measured roofline of the networks; `sizes` of the image: what follows tracking is measured with the first one alone.
    """
    images = [_frame(*parse_size(size)) for size in sizes]
    if repeats < 1 or not people or min(people) < 1:
        raise ConfigError("--repeats and --people must be 1 or more")
    config = with_own_detector(config)
    config = replace(config, temporal=replace(config.temporal, lag=0))
    rows = []
    for size, image in zip(sizes, images, strict=True):
        rows += [line | {"image": size} for line in _images(build_pipeline(config), image, repeats)]
    pipeline, frame = build_pipeline(offline(config, as_live=True)), images[0]
    tracks = pipeline.tracker.step(frame)
    if not tracks:
        raise InputError("nobody found in the rendered test image; run: hmr doctor")
    rows += _crowds(pipeline, frame, tracks[0], people, repeats)
    kind = choose_engine(config).engine.kind if RECOVERIES[config.recover].needs_posture else "none"
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {usable_cores()} cores", "threads": config.threads,
        "steps": config.posture.steps,
        "engine": kind, "recover": config.recover, "refine": config.refine,
        "peak_memory_mb": peak_memory_mb(), "stages": rows,
    }  # fmt: skip
    _print(report)
    if engines is not None:
        report["engines"] = compare_engines(config, engines, frame, tracks[0], people, repeats)
        print_engines(report["engines"])
    if with_roofline:
        from hmr_ros.commands.roofline import print_roofline, roofline

        report["roofline"] = roofline(config, people, repeats)
        print_roofline(report["roofline"])
    if json_path is not None:
        try:
            json_path.write_text(json.dumps(report, indent=1), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {json_path}: {error.strerror}; choose another file") from error
    return 0


def _images(pipeline: Pipeline, frame: Frame, repeats: int) -> list[dict[str, Any]]:
    """Tracking one person, and the whole way with its search, as a node does it."""

    def whole(stamped: Frame) -> None:
        pipeline.step(stamped)
        pipeline.search(stamped)

    spent = row("frame, search too", 1, times_at_30_hz(whole, frame, repeats))
    later = replace(frame, index=10**6, stamp_ns=10**12)
    tracker = pipeline.tracker
    tracker.step(later)
    tracker.search(later, defer=False)  # finds the person anew: it was long ago
    tracked = row("track", 1, times_at_30_hz(tracker.step, later, repeats))
    return [tracked, spent | {"frames_per_s": round(1e3 / spent["p50_ms"], 1)}]


def _frame(width: int, height: int) -> Frame:
    """The demo's person."""
    camera = guess_camera(width, height)
    motion = demo_motion()
    view = look_at(camera, np.array([0.2, 1.1, 3.2]), np.array([0.2, 0.95, 0.0]))
    one = replace(motion, poses=motion.poses[:1], trans=motion.trans[:1])
    image, _ = next(render_motion(one, load_body(), view))
    return Frame(image=image, stamp_ns=0, index=0, camera=camera)


def _print(report: dict[str, Any]) -> None:
    print(f"{report['machine']}, {report['threads']} threads, {report['steps']} steps of the posture decoder")
    print(f"recover {report['recover']} on {report['engine']}, refine {report['refine']}")
    print(f"{'stage':<20} {'people':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'cores':>6}  image, rate")
    for line in report["stages"]:
        ms = " ".join(f"{line[name]:>8.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
        cores = "" if line["cores"] is None else f"{line['cores']:.2f}"
        rate = f", {line['frames_per_s']} frames/s" if "frames_per_s" in line else ""
        print(f"{line['stage']:<20} {line['people']:>6} {ms} {cores:>6}  {line.get('image', '')}{rate}")
    print(f"peak memory {report['peak_memory_mb']} MB")


class _NoTracker:
    """For pipelines that are given their tracks."""

    def step(self, frame: Frame) -> list[Track]:
        """Nobody."""
        del frame
        return []

    def search(self, frame: Frame, defer: bool) -> bool:
        """Nothing to search."""
        del frame, defer
        return False

    def adjust(self, config: TrackerConfig, search: DetectorConfig) -> None:
        """Nothing to change."""

    def hurry(self, late: bool) -> None:
        """Nobody to leave out."""

    def reset(self) -> None:
        """Nothing to forget."""

    def restart(self) -> None:
        """Nothing to begin anew."""


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
        pipeline = Pipeline(load_body(None), _NoTracker(), build_stages(config))
        engine = choose_engine(config).engine
    except HmrError as error:
        return {"missing": str(error)}
    loaded = time.perf_counter() - start
    return {
        "device": engine.device, "dtype": engine.dtype, "load_s": round(loaded, 2), "peak_memory_mb": peak_memory_mb(),
        "stages": _crowds(pipeline, frame, track, people, repeats),
    }  # fmt: skip


def _crowds(pipeline: Pipeline, frame: Frame, track: Track, people: list[int], repeats: int) -> list[dict[str, Any]]:
    """Rows of what follows tracking, for each number of people."""
    rows = []
    for count in people:
        crowd = [replace(track, track_id=i) for i in range(count)]
        rows += [row(name, count, t) for name, t in recovery_stages(pipeline, frame, crowd, repeats).items()]
    return rows


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


def recovery_stages(pipeline: Pipeline, frame: Frame, tracks: list[Track], repeats: int) -> dict[str, Spent]:
    """Each stage after tracking over frames at 30 Hz, windows of refinement full, and all together."""
    parts: dict[str, list[float]] = {}

    def call(stamped: Frame) -> None:
        pipeline.stage_seconds = {}
        pipeline.recover(stamped, tracks)
        for name, seconds in pipeline.stage_seconds.items():
            parts.setdefault(name, []).append(seconds)

    whole = times_at_30_hz(call, frame, repeats)
    return {name: Spent(seconds[-repeats:]) for name, seconds in parts.items()} | {"after tracking, all": whole}
