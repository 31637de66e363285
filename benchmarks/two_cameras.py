"""Several cameras on one machine, each with a node of its own, and the node that fuses them: is anybody starved?

`python benchmarks/two_cameras.py [--seconds 60] [--fps 15] [--cameras 2]`: as multi_camera.launch.py starts them (one
file, the cores divided), but without a launcher, on real topics and 640x480 images of one rendered person from
different sides. Printed: for each camera the share of images that were answered, the latency from the image's stamp to
the answer here, the longest gap between two answers and what its node takes of a core; the same of the fused people,
with their error in the common frame. Exit code 1 where a camera is starved: under 90 % answered.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from hmr_ros.msg import HumanArray
from rclpy.node import Node
from tqdm import tqdm

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.ros.cameras import camera_nodes
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.runtime.cores import usable_cores
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motion
from hmr_ros.synth.scene import View, look_at

STARVED = 0.9  # of the images
START_S = 10.0  # until the cameras' processes are up; they begin together
WARM_UP_S = 5.0  # answers to images before this are not counted
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run everything and print one line a camera."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--cameras", type=int, default=2, metavar="N")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME:=VALUE", help="parameters of every node")
    args = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prepare_environment()
    with tempfile.TemporaryDirectory() as folder:
        views = [_view(k) for k in range(args.cameras)]
        truth = _render(Path(folder), views, args.fps)
        file = _cameras_file(Path(folder), views)
        return _measure(Path(folder), file, views, truth, args)


def _view(k: int) -> View:
    angle = np.radians(-40.0 + 80.0 * k)
    eye = np.array([4.0 * np.sin(angle) + 0.3, 1.3, 4.0 * np.cos(angle)])
    return look_at(replace(guess_camera(640, 480), guessed=False), eye, np.array([0.3, 0.95, 0.0]))


def _render(folder: Path, views: list[View], fps: float) -> np.ndarray:
    """Frames of each view as camN.npy; the true joints [F,24,3] m in the world."""
    motion, body, joints = demo_motion(fps), load_body(None), []
    for k, view in enumerate(views):
        frames, world = [], Rigid(view.R_camera_world, view.t_camera_world).inverse
        for image, true in tqdm(render_motion(motion, body, view, k), total=len(motion.poses), desc=f"render cam{k}"):
            frames.append(image)
            joints += [world(true.joints)] if k == 0 else []
        np.save(folder / f"cam{k}.npy", np.stack(frames))
    return np.array(joints)


def _cameras_file(folder: Path, views: list[View]) -> Path:
    lines = ["cameras:"]
    for k, view in enumerate(views):
        R, t = view.R_camera_world.reshape(-1).tolist(), view.t_camera_world.tolist()
        lines.append(f"  cam{k}: {{image_topic: /cam{k}/image_raw, R: {R}, t: {t}}}")
    file = folder / "cameras.yaml"
    file.write_text("\n".join(lines))
    return file


def _measure(folder: Path, file: Path, views: list[View], truth: np.ndarray, args: argparse.Namespace) -> int:
    rclpy.init()
    node = rclpy.create_node("two_cameras")
    came: dict[str, dict[int, tuple[int, HumanArray]]] = {}  # topic -> stamp -> arrival ns, message
    for topic in [f"/cam{k}/hmr/humans" for k in range(len(views))] + ["/fusion/humans"]:
        answers = came.setdefault(topic, {})
        node.create_subscription(
            HumanArray, topic, lambda m, a=answers: a.update({stamp_ns(m.header.stamp): (time.time_ns(), m)}), 10
        )
    started = []
    try:
        nodes = [_started([*_live(n), *_parameters(args.settings)]) for n in _nodes(file)]
        fusion = _started(["-m", "hmr_ros", "fuse", str(file)])
        started += [*nodes, fusion]
        _spin(node, lambda: all(node.count_publishers(topic) for topic in came), 120.0)
        args.start_at = time.time() + START_S
        publishers = [_started(_camera(folder, k, view, args)) for k, view in enumerate(views)]
        started += publishers
        _spin(node, lambda: time.time() >= args.start_at, 2 * START_S)
        begin_s, before = time.time(), [_cpu_s(p) for p in [*nodes, fusion]]
        _spin(node, lambda: all(p.poll() is not None for p in publishers), args.seconds + 60.0)
        seconds = time.time() - begin_s
        shares = [(_cpu_s(p) - b) / seconds for p, b in zip([*nodes, fusion], before, strict=True)]
        _spin(node, lambda: False, 1.0)
    finally:
        for process in started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in started:
            process.wait(timeout=20)
        node.destroy_node()
        rclpy.try_shutdown()
    return _report(folder, came, truth, shares, len(views))


def _nodes(file: Path) -> list[dict]:
    return camera_nodes(file, {}, usable_cores(), os.environ, "")


def _live(given: dict) -> list[str]:
    """`hmr live` with what launch's action Node would get."""
    parameters = {k: v for p in given["parameters"] if isinstance(p, dict) for k, v in p.items()}
    command = ["-m", "hmr_ros", "live", f"namespace:={given['namespace']}", "--ros-args"]
    return command + _parameters([f"{k}:={v}" for k, v in parameters.items()])


def _parameters(texts: list[str]) -> list[str]:
    return [word for text in texts for word in ("-p", text)]


def _camera(folder: Path, k: int, view: View, args: argparse.Namespace) -> list[str]:
    K = view.camera.K
    return [
        "-m", "hmr_ros.ros.virtual_camera", "--frames", str(folder / f"cam{k}.npy"),
        "--log", str(folder / f"cam{k}.json"), "--camera", f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}",
        "--fps", str(args.fps), "--seconds", str(args.seconds), "--start-at", str(args.start_at),
        "--topic", f"/cam{k}/image_raw", "--info-topic", f"/cam{k}/camera_info",
    ]  # fmt: skip


def _started(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, *arguments])


def _spin(node: Node, done: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.05)


def _cpu_s(process: subprocess.Popen) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _report(folder: Path, came: dict, truth: np.ndarray, shares: list[float], count: int) -> int:
    starved, sent_of, frames = False, {}, {}
    for k in range(count):
        log = json.loads((folder / f"cam{k}.json").read_text())
        sent_of[k] = log["stamps_ns"]
        frames |= {stamp: i % log["loop"] for i, stamp in enumerate(sent_of[k])}
    first = max(sent[0] for sent in sent_of.values()) + WARM_UP_S * 1e9
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {count} cameras; answers to images from {WARM_UP_S:g} s on")
    for k in range(count):
        sent = [s for s in sent_of[k] if s >= first]
        answered = {s: a for s, (a, _) in came[f"/cam{k}/hmr/humans"].items() if s in sent}
        share = len(answered) / len(sent)
        starved |= share < STARVED
        print(f"  cam{k}: {share:6.1%} of {len(sent)} images answered, {_times(answered)}, {shares[k]:.2f} cores")
    fused = {s: (a, m) for s, (a, m) in came["/fusion/humans"].items() if s >= first}
    both = [m.humans[0] for _, m in fused.values() if m.humans and m.humans[0].scale_source == 3]
    errors = [
        1e3 * np.linalg.norm(np.array(m.humans[0].joints).reshape(24, 3) - truth[frames[s]], axis=1)[SMPL_LIMBS].mean()
        for s, (_, m) in fused.items()
        if m.humans and s in frames
    ]
    print(
        f"  fused: {len(fused)} moments, {_times({s: a for s, (a, _) in fused.items()})}, {shares[-1]:.2f} cores;"
        f" {len(both)} people by several cameras, MPJPE {np.median(errors):.0f} mm median, ids"
        f" {sorted({h.track_id for _, m in fused.values() for h in m.humans})}"
    )
    print("  starved" if starved else "  nobody is starved")
    return int(starved)


def _times(answered: dict[int, int]) -> str:
    latency = 1e-6 * np.array([a - s for s, a in answered.items()])
    gaps = 1e-6 * np.diff(sorted(answered))
    p50, p95 = np.percentile(latency, (50, 95))
    return f"latency p50 {p50:.0f} p95 {p95:.0f} ms, longest gap between answers {gaps.max():.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
