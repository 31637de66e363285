"""`hmr bench`: what each stage costs on this machine, for one person and for several."""

from __future__ import annotations

import json
import os
import platform
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.commands.bench_engines import compare_engines, print_engines
from hmr_ros.commands.timing import recovery_stages, row, times_at_30_hz
from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.pipeline import Pipeline
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import parse_size, render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Frame


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
    networks against the machine; `sizes` of the picture: the recovery depends on them no more than the first one says.
    """
    pictures = [_frame(*parse_size(size)) for size in sizes]
    if repeats < 1 or not people or min(people) < 1:
        raise ConfigError("--repeats and --people must be 1 or more")
    config = replace(config, lag=0)
    rows = []
    for size, picture in zip(sizes, pictures, strict=True):
        rows += [line | {"picture": size} for line in _pictures(build_pipeline(config), picture, repeats)]
    pipeline, frame = build_pipeline(offline(config, as_live=True)), pictures[0]
    tracks = pipeline.tracker.step(frame)
    if not tracks:
        raise InputError("nobody found in the rendered test picture; run: hmr doctor")
    recovery = pipeline.recovery
    for count in people:
        crowd = [replace(tracks[0], track_id=i) for i in range(count)]
        rows += [row(name, count, t) for name, t in recovery_stages(recovery, frame, crowd, repeats).items()]
    kind = choose_engine(config).engine.kind if config.recover == "posture" else "none"
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "threads": config.threads, "steps": config.steps,
        "engine": kind, "recover": config.recover, "refine": config.refine,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), "stages": rows,
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


def _pictures(pipeline: Pipeline, frame: Frame, repeats: int) -> list[dict[str, Any]]:
    """Tracking one person, and the whole way with its search, as a node does it."""

    def whole(stamped: Frame) -> None:
        pipeline.step(stamped)
        pipeline.search(stamped)

    spent = row("frame, search too", 1, times_at_30_hz(whole, frame, repeats))
    later = replace(frame, index=10**6, stamp_ns=10**12)
    tracker = pipeline.tracker
    tracker.step(later)
    tracker.search(later, hurry=False)  # finds the person anew: it was long ago
    tracked = row("track", 1, times_at_30_hz(tracker.step, later, repeats))
    return [tracked, spent | {"frames_per_s": round(1e3 / spent["p50_ms"], 1)}]


def _frame(width: int, height: int) -> Frame:
    """The demo's person."""
    camera = guess_camera(width, height)
    motion = demo_motion()
    view = look_at(camera, np.array([0.2, 1.1, 3.2]), np.array([0.2, 0.95, 0.0]))
    one = replace(motion, poses=motion.poses[:1], trans=motion.trans[:1])
    picture, _ = next(render_motion(one, load_body(), view))
    return Frame(image=picture, stamp_ns=0, index=0, camera=camera)


def _print(report: dict[str, Any]) -> None:
    print(f"{report['machine']}, {report['threads']} threads, {report['steps']} steps of the posture decoder")
    print(f"recover {report['recover']} on {report['engine']}, refine {report['refine']}")
    print(f"{'stage':<20} {'people':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'cores':>6}  picture, rate")
    for line in report["stages"]:
        ms = " ".join(f"{line[name]:>8.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
        cores = "" if line["cores"] is None else f"{line['cores']:.2f}"
        rate = f", {line['frames_per_s']} frames/s" if "frames_per_s" in line else ""
        print(f"{line['stage']:<20} {line['people']:>6} {ms} {cores:>6}  {line.get('picture', '')}{rate}")
    print(f"peak memory {report['peak_memory_mb']} MB")
