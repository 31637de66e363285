"""The live stream as its reader sees it: rate, spacing, latency, and whether the poses are right.

`python benchmarks/stream.py`: people for the stream alone, then a rendered clip through the pipeline without a stream,
with SONIC's, and with both. A process of its own reads the messages, and decodes them by the description of the format.
`--draw docs/stream.jpg` draws what it read. The exit code is 1 where one of the bars is missed: 50 messages a second,
95 % of the spacings within 2 ms, and 95 % of the images at most 60 ms (`--bar`) from their stamp to the first packet
whose pose knows of them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hmr_ros.body.axes import SMPL_FROM_BODY
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.loading import load_body
from hmr_ros.commands.stream import PacedFrames
from hmr_ros.config import HmrConfig
from hmr_ros.config_groups import StreamConfig
from hmr_ros.exchange.motion import LEVEL
from hmr_ros.exchange.stream import LiveStream
from hmr_ros.exchange.stream_records import StreamStatistics
from hmr_ros.factory import build_pipeline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle, matrix_from_quaternion
from hmr_ros.io.video import VideoWriter, open_source
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in, render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Human, TrackingState
from hmr_ros.view.raster import draw_mesh, pixels_in_front

FPS = 30.0
SONIC, VMC = "tcp://127.0.0.1:15556", "127.0.0.1:15539"
TURN = 1.0  # rad/s of the person for the stream alone: the heading tells the time
MOMENTS_S = (1.2, 5.0, 7.0, 9.0)  # of the demo motion: a stride, waving, squatting, arms up
CELL, SIDE = 220, 360  # px of the drawing and of the clip
Y_UP = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])  # from x forward, y left, z up
FIELD_DTYPES = {"f32": "<f4", "i64": "<i8"}


def main() -> None:
    """Prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the stream alone; the clip has ten")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draw", type=Path, help="image of the clip and of the poses that were read")
    parser.add_argument("--bar", type=float, default=60.0, help="ms from stamp to packet, for 95 %% of the images")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read_stream(*args.read)
        return
    for config in (StreamConfig(sonic=SONIC), StreamConfig(sonic=SONIC, vmc=VMC)):
        alone(config, args.seconds)
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        clip = Clip(Path(folder) / "clip.mp4")
        for name, config in (
            ("no stream", StreamConfig()),
            ("sonic", StreamConfig(sonic=SONIC)),
            ("sonic and vmc", StreamConfig(sonic=SONIC, vmc=VMC)),
        ):
            received = through_pipeline(name, config, clip, args.threads)
            if received is not None:
                fields, shown, statistics = received
                kept = keeps_bars(fields["came_s"], statistics, args.bar) and kept
            if received is not None and args.draw and not config.vmc:
                cv2.imwrite(str(args.draw), drawn(clip, fields, shown), [cv2.IMWRITE_JPEG_QUALITY, 85])
    sys.exit(0 if kept else 1)


def keeps_bars(came_s: Any, statistics: StreamStatistics, latency_ms: float) -> bool:
    """Print a line a bar; whether each is kept."""
    rate = (len(came_s) - 1) / (came_s[-1] - came_s[0])
    spacing = float(np.percentile(np.abs(np.diff(came_s) - 0.02), 95)) * 1e3
    bars = (
        ("messages a second off 50", abs(rate - 50), 0.05),
        ("spacing off 20 ms, p95", spacing, 2.0),
        ("stamp to packet, p95 ms", 1e3 * statistics.latency_p95_s, latency_ms),
    )
    for name, found, bar in bars:
        print(f"  {'ok  ' if found <= bar else 'MISS'} {name} {found:.2f} (at most {bar:g})")
    return all(found <= bar for _, found, bar in bars)


class Reader:
    """Reads a stream in a process of its own, so that nothing here delays it."""

    def __init__(self) -> None:
        self._file = Path(tempfile.mkstemp(suffix=".npz")[1])
        command = [sys.executable, __file__, "--read", SONIC, str(self._file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        print(self._process.stdout.readline().lstrip("\n"), end="")  # it is there

    def fields(self) -> dict[str, Any]:
        """What it got, when nothing comes any more; `came_s` is time.time()."""
        self._process.wait()
        with np.load(self._file) as file:
            fields = dict(file)
        self._file.unlink()
        return fields


def read_stream(address: str, file: str) -> None:
    """Messages until a second passes without one."""
    import zmq

    said = ""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        said = "the reader may not ask for real-time scheduling: other work on the machine shows in the spacing"
    socket = zmq.Context().socket(zmq.SUB)
    socket.subscribe(b"pose")
    socket.connect(address)
    print(said, flush=True)
    came, messages = [], []
    while socket.poll(60_000 if not messages else 2000):
        messages.append(socket.recv())
        came.append(time.time())
    several = [decoded(m) for m in messages]
    np.savez(file, came_s=came, **{k: np.concatenate([f[k] for f in several]) for k in several[0]})


def decoded(message: bytes) -> dict[str, Any]:
    """Fields of one message."""
    fields, offset = {}, 4 + 1280
    for field in json.loads(message[4:offset].rstrip(b"\0"))["fields"]:
        dtype = np.dtype(FIELD_DTYPES[field["dtype"]])
        size = int(np.prod(field["shape"]))
        fields[field["name"]] = np.frombuffer(message, dtype, size, offset).reshape(field["shape"])
        offset += size * dtype.itemsize
    assert message[:4] == b"pose" and offset == len(message)
    return fields


def report(name: str, fields: dict[str, Any]) -> None:
    """Rate and spacing as the reader saw them."""
    came, index = fields["came_s"], fields["frame_index"]
    spacing = np.abs(np.diff(came) - 0.02) * 1e3
    lost = int(index[-1] - index[0] + 1 - len(index))
    print(
        f"{name}: {len(came)} messages, {lost} lost, {(len(came) - 1) / (came[-1] - came[0]):.2f} Hz, spacing off 20 ms"
        f" by p50 {np.median(spacing):.2f} p95 {np.percentile(spacing, 95):.2f} max {spacing.max():.1f} ms,"
        f" {(spacing > 2).sum()} of them by more than 2"
    )


def alone(config: StreamConfig, seconds: float) -> None:
    """Answers at 30 Hz, each 30 ms old, without a pipeline."""
    body, reader = load_body(), Reader()
    before_s = children_s()
    LiveStream(config, body, print).close()
    start_up_s = children_s() - before_s
    live = LiveStream(config, body, print)
    time.sleep(1.0)
    start = time.time()
    for k in range(round(seconds * FPS)):
        stamp = start + k / FPS
        time.sleep(max(0.0, stamp + 0.03 - time.time()))
        live.offer(round(stamp * 1e9), [turning(body, TURN * (stamp - start), round(stamp * 1e9))])
    live.close()
    poses = live.statistics.fresh + live.statistics.held
    cost_ms = 1e3 * (children_s() - before_s - 2 * start_up_s) / poses
    fields = reader.fields()
    report("sonic and vmc alone" if config.vmc else "sonic alone", fields)
    print(f"  {cost_ms:.2f} ms of processor a pose, in the process that sends")
    heading = np.unwrap(2 * np.arctan2(fields["body_quat"][:, 3], fields["body_quat"][:, 0]), period=2 * np.pi)
    age = 1e3 * np.mod(fields["came_s"] - start - heading / TURN, 2 * np.pi / TURN)[50:]
    print(
        f"  age of poses by their heading: p50 {np.median(age):.0f} p95 {np.percentile(age, 95):.0f} ms (30 + 33 given)"
    )
    print(f"  {live.statistics}")


def children_s() -> float:
    """Processor time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def turning(body: Any, heading: float, stamp_ns: int) -> Human:
    """A person three metres away who stands in a T-pose."""
    orient = axis_angle_from_matrix(LEVEL.T @ matrix_from_axis_angle(np.array([0.0, 0.0, heading])) @ SMPL_FROM_BODY.T)
    joints = body.joints(orient, np.zeros(69), np.zeros(10), np.array([0.0, 0.0, 3.0]))
    return Human(
        frame=0, stamp_ns=stamp_ns, track_id=0, state=TrackingState.TRACKED, score=1.0, boxes_xyxy=np.zeros(4),
        keypoints_2d=np.zeros((33, 3)), global_orient=orient, body_pose=np.zeros(69), betas=np.zeros(10),
        transl=np.array([0.0, 0.0, 3.0]), joints=joints, joints_2d=joints[:, :2], joint_covariance=np.zeros((24, 6)),
        K=np.eye(3), body_model=body.name,
    )  # fmt: skip


class Clip:
    """The demo motion in front of a level camera."""

    def __init__(self, path: Path) -> None:
        self.path, self.body = path, load_body()
        motion = demo_motion(FPS)
        self.view = look_at(guess_camera(640, 480), np.array([0.2, 0.95, 3.4]), np.array([0.2, 0.95, 0.0]))
        self.truths = [
            placed_in(self.view, self.body, p, t, motion.betas) for p, t in zip(motion.poses, motion.trans, strict=True)
        ]
        moments = {round(s * FPS) for s in MOMENTS_S}
        self.images = {}
        with VideoWriter(path, FPS) as video:
            for k, (image, _) in enumerate(render_motion(motion, self.body, self.view)):
                video.write(image)
                if k in moments:
                    self.images[k] = image


def through_pipeline(
    name: str, config: StreamConfig, clip: Clip, threads: int
) -> tuple[dict[str, Any], Any, StreamStatistics] | None:
    """The clip at its own pace; what was read, with the frame of the clip that each message should show."""
    reader = Reader() if config.sonic else None
    live = LiveStream(config, clip.body, print) if config.sonic else None
    camera = replace(clip.view.camera, guessed=False)
    pipeline = build_pipeline(replace(HmrConfig(), threads=threads))
    paced = PacedFrames(open_source(str(clip.path), camera))
    pipeline.step(paced.first)
    pipeline.search(paced.first)
    pipeline.reset()
    steps, start = [], None
    for frame in paced:
        start = frame.stamp_ns * 1e-9 if start is None else start
        began = time.perf_counter()
        result = pipeline.step(frame)
        if live is not None and result is not None:
            live.offer(result.frame.stamp_ns, result.humans)
        steps.append(1e3 * (time.perf_counter() - began))
        pipeline.search(frame, defer=paced.has_next)
    paced.close()
    print(
        f"{name}: {len(steps)} of {len(steps) + paced.dropped} frames answered, {np.median(steps):.1f} ms a frame"
        f" (p95 {np.percentile(steps, 95):.1f})"
    )
    if live is None or reader is None:
        return None
    live.close(drain=True)
    fields = reader.fields()
    report(f"  {name}", fields)
    print(f"  {live.statistics}")
    shown = np.rint((fields["came_s"] - live.statistics.age_p50_s - start) * FPS).astype(int)
    compare(clip, fields, shown)
    return fields, shown, live.statistics


def compare(clip: Clip, fields: dict[str, Any], shown: Any) -> None:
    """Poses that were read with the truth."""
    errors, angles = [], []
    known = np.flatnonzero((shown >= 0) & (shown < len(clip.truths)))
    roots = matrix_from_quaternion(fields["body_quat"].astype(float))
    for k in known:
        truth = clip.truths[shown[k]]
        root = LEVEL @ matrix_from_axis_angle(truth.global_orient) @ SMPL_FROM_BODY
        joints = (truth.joints - truth.joints[0]) @ LEVEL.T @ root
        errors.append(np.linalg.norm(fields["smpl_joints"][k] - joints, axis=1).mean())
        angles.append(np.degrees(np.linalg.norm(axis_angle_from_matrix(roots[k].T @ root))))
    print(
        f"  against the truth: joints in the body's axes {1e3 * np.mean(errors):.0f} mm, root off by"
        f" {np.median(angles):.1f} degrees (median)"
    )


def drawn(clip: Clip, fields: dict[str, Any], shown: Any) -> Any:
    """Above the clip, below the poses that were read, from the side."""
    columns = []
    for frame, image in sorted(clip.images.items()):
        k = int(np.abs(shown - frame).argmin())
        left, top = (np.rint(clip.truths[frame].joints_2d[0]) - [SIDE / 2, 0.55 * SIDE]).astype(int).clip(0)
        seen = cv2.resize(image[top : top + SIDE, left : left + SIDE], (CELL, CELL), interpolation=cv2.INTER_AREA)
        columns.append(np.vstack([seen, figure(clip.body, {n: v[k] for n, v in fields.items() if n != "came_s"})]))
    return np.hstack(columns)


def figure(body: Any, read: dict[str, Any]) -> Any:
    """One pose that was read: the open body, and over it the joints as they were sent."""
    root = Y_UP @ matrix_from_quaternion(read["body_quat"].astype(float))
    pose = np.r_[read["smpl_pose"].reshape(-1), np.zeros(6)].astype(float)
    orient = axis_angle_from_matrix(root @ SMPL_FROM_BODY.T)
    pelvis = body.rest_joints(np.zeros(10))[0]
    view = look_at(guess_camera(2 * CELL, 2 * CELL), np.array([1.6, 0.4, 1.2]), np.array([0.0, -0.05, 0.0]))

    def seen(points: Any) -> Any:
        return points @ view.R_camera_world.T + view.t_camera_world

    image = np.full((2 * CELL, 2 * CELL, 3), 245, np.uint8)
    vertices = seen(body.vertices(orient, pose, np.zeros(10), -pelvis))
    draw_mesh(image, vertices, body.faces, view.camera.K, np.full((len(body.faces), 3), 205.0))
    joints = np.rint(pixels_in_front(seen(read["smpl_joints"] @ root.T), view.camera.K)).astype(int)
    for child, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            cv2.line(image, joints[child].tolist(), joints[parent].tolist(), (170, 90, 20), 2, cv2.LINE_AA)
    for joint in joints:
        cv2.circle(image, joint.tolist(), 4, (30, 60, 200), -1, cv2.LINE_AA)
    return cv2.resize(image, (CELL, CELL), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
