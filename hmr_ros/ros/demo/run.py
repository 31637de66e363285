"""`hmr demo`: a virtual camera and the live node as two processes on real ROS 2 topics, recorded here."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hmr_ros.errors import HmrError
from hmr_ros.io.model_store import blazepose_models
from hmr_ros.io.results import made_folder
from hmr_ros.ros.demo.clip import DemoClip, prepare_clip
from hmr_ros.ros.demo.recording import Recorder, Recording
from hmr_ros.ros.demo.report import write_report
from hmr_ros.ros.environment import prepare_environment

TOPIC = "/camera/image_raw"  # of the virtual camera


def demo(out: Path, *, source: str | None, seconds: float, camera_text: str | None, view: bool = False) -> int:
    """Run the demo into the folder `out`: overlay.mp4, humans.npz, truth.npz (rendered person), summary.json.

    `view`: serve the web page of `hmr view` meanwhile.
    """
    made_folder(out)
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))  # leave other robots on this network alone
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    prepare_environment()
    blazepose_models()
    clip = prepare_clip(out, source, camera_text)
    if source is not None:
        seconds = min(seconds, len(clip) / clip.fps)
    recording = play(clip, out, seconds, view)
    if not recording.latency_s:
        raise HmrError("no answer arrived from the node; run `hmr doctor` and look at the lines above")
    write_report(out, clip, recording)
    clip.frames_file.unlink(missing_ok=True)
    return 0


def play(clip: DemoClip, out: Path, seconds: float, view: bool = False) -> Recording:
    """Start node and camera as processes of their own and record until the camera ends."""
    import rclpy

    rclpy.init()
    recorder = Recorder()
    log = out / "camera.json"
    log.unlink(missing_ok=True)
    try:
        with ExitStack() as beside, _process("live", ["-m", "hmr_ros", "live", f"image_topic:={TOPIC}"]) as node:
            if view:
                beside.enter_context(_process("page", ["-m", "hmr_ros", "view", "--ros", "--image-topic", TOPIC]))
            recorder.wait_until_ready(node)
            fx, fy, cx, cy = clip.intrinsics
            camera = ["-m", "hmr_ros.ros.virtual_camera", "--frames", str(clip.frames_file), "--log", str(log)]
            camera += ["--camera", f"{fx},{fy},{cx},{cy}", "--fps", str(clip.fps), "--seconds", str(seconds)]
            with _process("virtual camera", camera) as publisher:
                recorder.record(publisher, node, expected=round(seconds * clip.fps))
    finally:
        recorder.close()
        rclpy.try_shutdown()
    if log.exists():
        recorder.recording.sent_ns = json.loads(log.read_text(encoding="utf-8"))["stamps_ns"]
        log.unlink()
    return recorder.recording


@contextmanager
def _process(name: str, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *arguments])
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            print(f"{name} did not stop on request and is ended", file=sys.stderr)
            process.kill()
            process.wait()
