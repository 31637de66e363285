"""What the page costs the node: its answers while a browser looks at `hmr view --ros`, and without, in turn.

`python benchmarks/view_cost.py [--seconds 60] [--rounds 3] [--bar 1.1]`: a rendered clip of 640x480 is played to `hmr
live` at 30 Hz, in each round first without and then with the page, at which a headless Chromium looks. Printed are the
ages of the answers (stamp to arrival) and by how much the page makes their 95th percentile larger, medians over the
rounds; the exit code is 1 where that is above the bar. Chromium draws in software where there is no GPU, on the same
processors, which costs more than a browser on another machine.
"""

import argparse
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from live_node import Observer, played, start_ros
from passing_people import passing_people
from soak import CLIP_S, machine

WIDTH, HEIGHT, FPS = 640, 480, 30.0
PART = (0.3, 0.4)  # of the clip: two people in view
SETTLE_S = 3.0  # before answers count
TOPIC = "/camera/image_raw"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run"]
LOADED_MS = 120_000


def main() -> None:
    """Print a line a measurement, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bar", type=float, default=1.1)
    args = parser.parse_args()
    print(machine())
    folder = Path(tempfile.mkdtemp())
    frames = passing_people(folder / "people.npy", WIDTH, HEIGHT, CLIP_S, PART)
    start_ros()
    ages: dict[str, list[Any]] = {"without": [], "with": []}
    try:
        with played(frames, FPS, SETTLE_S + args.seconds, folder / "camera.json") as (node, observer, start):
            for _ in range(args.rounds):
                for name, rows in ages.items():
                    with page() if name == "with" else contextlib.nullcontext():
                        rows.append(measured(observer, start()))
                    print(f"{name:8} {line(rows[-1])}", flush=True)
            for text in node.said():
                print(f"node: {text}")
    finally:
        shutil.rmtree(folder)
    p95 = {name: float(np.median([np.percentile(a, 95) for a in rows])) for name, rows in ages.items()}
    ratio = p95["with"] / p95["without"]
    print(f"p95 without {p95['without']:.1f} ms, with the page {p95['with']:.1f} ms: {ratio:.3f} (at most {args.bar})")
    sys.exit(0 if ratio <= args.bar else 1)


def measured(observer: Observer, camera: subprocess.Popen[bytes]) -> Any:
    """Ages [N] ms of the answers until the camera ends."""
    observer.spin(SETTLE_S)
    begin = len(observer.answers)
    while camera.poll() is None:
        observer.spin(0.2)
    return np.array([a.age_ms for a in observer.answers[begin:]])


def line(ages: Any) -> str:
    """One measurement."""
    p50, p95, p99 = np.percentile(ages, (50, 95, 99))
    return f"{len(ages)} answers, age p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, most {ages.max():.1f} ms"


@contextlib.contextmanager
def page() -> Iterator[None]:
    """`hmr view --ros`, and a browser that looks at it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-u", "-m", "hmr_ros", "view", "--ros", "--image-topic", TOPIC, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not any("http://" in text for text in process.stdout):
            sys.exit("the page did not start")
        with looking(f"http://127.0.0.1:{port}"):
            yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@contextlib.contextmanager
def looking(url: str) -> Iterator[None]:
    """A headless Chromium at the page, which must have shown people at the end."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as api:
        chromium = api.chromium.launch(executable_path=found, args=FLAGS)
        tab = chromium.new_page(viewport={"width": 1000, "height": 640})
        tab.goto(url)
        tab.get_by_label("trails").wait_for(timeout=LOADED_MS)
        yield
        if "tracked" not in (shown := tab.inner_text("body")):
            sys.exit(f"the page shows nobody: {shown[:200]!r}")
        chromium.close()


if __name__ == "__main__":
    main()
