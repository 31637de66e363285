"""The live node with its defaults over a long time: memory, latency, diagnostics, while people come and go.

`python benchmarks/soak.py [--seconds 1800] [--out build/soak.json]`, or `make soak`. Camera (640x480, 30 Hz), node and
this observer are three processes. The exit code is 1 where a bar is missed.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from live_node import Observer, Seen, cpu_s, keeps, played, start_ros
from passing_people import FPS, passing_people

WIDTH, HEIGHT, CLIP_S = 640, 480, 20.0  # the spans below hold whole loops
WARM_UP_S = 120.0  # before memory and latency count
SPAN_S = 300.0  # of the first and the last part that are compared; a third of the rest in a shorter run
SAMPLE_S = 5.0
BARS = {"memory_growth": 0.03, "p95_change": 0.10, "diagnostics_gap_s": 1.5}  # one a second; a missing one leaves two


@dataclass(frozen=True)
class Sample:
    """The node's process at one time."""

    at_s: float  # since the camera's first image
    resident_mb: float
    heap_mb: float
    threads: int
    files: int
    cpu_s: float


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--out", type=Path, default=Path("build/soak.json"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames = passing_people(args.out.parent / f"people_{WIDTH}x{HEIGHT}.npy", WIDTH, HEIGHT, CLIP_S)
    start_ros()
    observer, samples, camera, log = soak(frames, args.seconds, args.out.parent / "soak_camera.json")
    result = summary(observer, samples, camera, args.seconds) | {"log": log, "machine": machine()}
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if report(result) else 1)


def soak(frames: Path, seconds: float, log: Path) -> tuple[Observer, list[Sample], dict[str, Any], list[str]]:
    """Play the camera to the node; what was seen, and what the node logged."""
    with played(frames, FPS, seconds, log) as (node, observer, start):
        node.said()
        camera = start()
        observer.wait(lambda: bool(observer.answers))
        node.said()  # that there is no camera yet
        samples, begin_s = [], time.monotonic()
        while camera.poll() is None:
            observer.spin(SAMPLE_S)
            pid, now = node.process.pid, time.monotonic() - begin_s
            samples.append(
                Sample(now, node.memory_mb(), node.heap_mb(), node.threads(), node.files(), cpu_s(pid))
            )  # fmt: skip
            print(f"\r{now:6.0f} s  {samples[-1].resident_mb:6.1f} MB  {len(observer.answers)} answers", end="")
        print()
        log_lines = node.said()
    return observer, samples, json.loads(log.read_text()), log_lines


def summary(observer: Observer, samples: list[Sample], camera: dict[str, Any], seconds: float) -> dict[str, Any]:
    """All figures, those that have a bar first."""
    answers = observer.answers
    begin = answers[0].at_s
    warm = min(WARM_UP_S, seconds / 3)
    span = min(SPAN_S, (seconds - warm) / 3)
    settled = [s for s in samples if s.at_s >= warm]
    first = [a for a in answers if warm <= a.at_s - begin < warm + span]
    last = [a for a in answers if a.at_s - begin >= answers[-1].at_s - begin - span]
    quiet_s = np.diff([s.at_s for s in observer.statuses if s.at_s >= begin])
    before, after = percentiles(first), percentiles(last)
    memory = np.array([s.resident_mb for s in settled])
    used_s = settled[-1].cpu_s - settled[0].cpu_s
    return {
        "seconds": seconds, "warm_up_s": warm, "span_s": span,
        "memory_growth": float(memory.max() / memory[0] - 1),
        "p95_change": after["p95_ms"] / before["p95_ms"] - 1,
        "diagnostics_gap_s": float(quiet_s.max()),
        "latency_first": before, "latency_last": after,
        "images": len(camera["stamps_ns"]), "answers": len(answers),
        "images_with_people": sum(a.people > 0 for a in answers), "most_people": max(a.people for a in answers),
        "resident_mb": [float(memory[0]), float(memory.min()), float(memory.max()), float(memory[-1])],
        "heap_mb": [settled[0].heap_mb, settled[-1].heap_mb],
        "threads": [min(s.threads for s in settled), max(s.threads for s in settled)],
        "files": [min(s.files for s in settled), max(s.files for s in settled)],
        "node_share_of_a_core": used_s / (settled[-1].at_s - settled[0].at_s),
        "camera_share_of_a_core": camera["share_of_a_core"],
        "samples": [[round(s.at_s), round(s.resident_mb, 1), round(s.heap_mb, 1)] for s in samples],
    }  # fmt: skip


def percentiles(answers: list[Seen]) -> dict[str, float]:
    """Of the age at arrival of answers."""
    p50, p95 = np.percentile([a.age_ms for a in answers], (50, 95))
    return {"p50_ms": float(p50), "p95_ms": float(p95), "answers": len(answers)}


def machine() -> str:
    """What these figures were measured on."""
    models = [t.split(":")[1].strip() for t in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in t]
    return f"{len(models)} x {models[0] if models else platform.machine()}"


def report(result: dict[str, Any]) -> bool:
    """Print the table; whether every bar is kept."""
    first, last = result["latency_first"], result["latency_last"]
    start, low, high, end = result["resident_mb"]
    print(f"{result['seconds']:.0f} s on {result['machine']}; after {result['warm_up_s']:.0f} s of warm-up")
    print(f"resident memory     {start:.1f} MB, then {low:.1f} to {high:.1f}, at the end {end:.1f} MB")
    print(f"memory of its own   {result['heap_mb'][0]:.1f} -> {result['heap_mb'][1]:.1f} MB")
    print(f"latency p50, p95    first {first['p50_ms']:.1f}, {first['p95_ms']:.1f} ms"
          f"   last {last['p50_ms']:.1f}, {last['p95_ms']:.1f} ms   ({result['span_s']:.0f} s each)")  # fmt: skip
    print(f"answers, images     {result['answers']}, {result['images']}; with people {result['images_with_people']}")
    print(f"threads, files      {result['threads']}, {result['files']} (least, most)")
    print(
        f"shares of a core    node {result['node_share_of_a_core']:.2f}, camera {result['camera_share_of_a_core']:.2f}"
    )
    print(f"lines in the log    {len(result['log'])}: {result['log'][:3]}")
    return keeps(result, BARS)


if __name__ == "__main__":
    main()
