"""What docs/scale.md says of `hmr batch`, on clips that are cut from one clip.

`python benchmarks/batch.py memory|resume|workers CLIP [--items N] [--frames N] [--ray none|local] [-- OPTIONS]`

- memory: many short items with two workers; the most memory of a worker after its first, middle and last items.
- resume: twelve items, one of them corrupt; killed in the middle, run again, compared with `hmr run` item by item.
- workers: long items by one worker and by two, by turns; items a second and their ratio.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from passed_on import split_options
from same_answers import environment, equal

from hmr_ros.io.video import VideoWriter, open_source

HERE = Path(__file__).resolve().parents[1]
ENVIRONMENT = environment(HERE)
HEIGHT = 360


def main() -> int:
    """Exit status."""
    words, options = split_options(sys.argv[1:], ["--fast", "--no-overlay"])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "resume", "workers"))
    parser.add_argument("clip")
    parser.add_argument("--items", type=int)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--ray", default="none")
    args = parser.parse_args(words)
    measure, items, frames = {"memory": (memory, 200, 10), "resume": (resume, 12, 30), "workers": (workers, 4, 100)}[
        args.what
    ]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before; pool {args.ray}; {' '.join(options)}")
    with tempfile.TemporaryDirectory() as folder:
        clips = cut(args.clip, Path(folder) / "clips", args.items or items, args.frames or frames)
        measure(clips, Path(folder), ["--ray", args.ray, *options])
    return 0


def cut(clip: str, folder: Path, items: int, frames: int) -> Path:
    """Items of `frames` images, each a little later in the clip, 360 pixels high."""
    folder.mkdir()
    source = open_source(clip, None)
    size = (round(source.width * HEIGHT / source.height) & ~1, HEIGHT)
    images = [cv2.resize(f.image, size, interpolation=cv2.INTER_AREA) for f in source]
    for i in range(items):
        with VideoWriter(folder / f"clip{i:03d}.mp4", source.fps) as video:
            for k in range(frames):
                video.write(images[(i + k) % len(images)])
    return folder


def command(clips: Path, out: Path, options: list[str]) -> list[str]:
    """`hmr batch` of these sources in this Python."""
    return [sys.executable, "-m", "hmr_ros", "batch", str(clips), "--out", str(out), *options]


def run(words: list[str]) -> str:
    """Its last lines."""
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return "; ".join(done.stdout.strip().splitlines()[-3:]) or done.stderr[-500:]


def rows(out: Path) -> list[dict[str, str]]:
    """Of items.csv."""
    with (out / "items.csv").open() as file:
        return list(csv.DictReader(file))


def memory(clips: Path, folder: Path, options: list[str]) -> None:
    """Peaks never fall, so a worker that keeps something of each item shows it."""
    out = folder / "out"
    print(run(command(clips, out, [*options, "--workers", "2"])))
    ended = sorted((p.stat().st_mtime, json.loads(p.read_text())) for p in out.glob("*/item.json"))
    peaks = [outcome["peak_mb"] for _, outcome in ended]
    for name, part in (
        ("10 to 20", peaks[10:20]),
        ("middle ten", peaks[len(peaks) // 2 :][:10]),
        ("last ten", peaks[-10:]),
    ):
        print(f"{name}: {min(part):.0f} to {max(part):.0f} MB a worker")
    print(f"{len(peaks)} items, {sum(o['seconds'] for _, o in ended) / len(ended):.2f} s of a worker each")


def resume(clips: Path, folder: Path, options: list[str]) -> None:
    """Killed (SIGKILL, all processes of it) when a third is done."""
    last = sorted(clips.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:2000])
    out, count = folder / "out", len(list(clips.iterdir()))
    words = command(clips, out, [*options, "--workers", "2"])
    process = subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list(out.glob("*/item.json"))) < count // 3 and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(5)  # Ray's own processes notice that the driver is gone
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/item.json")}
    print(f"killed with {len(before)} of {count} items ended")
    print(run(words))
    twice = sum(
        p.stat().st_mtime_ns != stamp for p, stamp in before.items() if json.loads(p.read_text())["status"] == "done"
    )
    done = [row for row in rows(out) if row["status"] == "done"]
    same = 0
    flags = [o for i, o in enumerate(options) if "--ray" not in options[max(i - 1, 0) : i + 1]]
    for row in done:
        run([sys.executable, "-m", "hmr_ros", "run", row["source"], "--out", str(folder / "one"), *flags])
        same += equal(out / row["name"] / "humans.npz", folder / "one" / "humans.npz")
    print(
        f"{len(done)} done, {len(rows(out)) - len(done)} failed, {twice} done twice, {same} equal to hmr run to the bit"
    )


def workers(clips: Path, folder: Path, options: list[str]) -> None:
    """Two turns each, start of the workers included."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(2):
        for count in (1, 2):
            start = time.perf_counter()
            run(command(clips, folder / f"out{turn}{count}", [*options, "--workers", str(count)]))
            seconds = time.perf_counter() - start
            frames = sum(int(row["frames"]) for row in rows(folder / f"out{turn}{count}"))
            rates[count].append(frames / seconds)
            print(f"{count} workers: {frames / seconds:.2f} images/s, load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"two against one: {np.mean(rates[2]) / np.mean(rates[1]):.2f}")


if __name__ == "__main__":
    sys.exit(main())
