"""A camera without a lens: publishes prepared images with CameraInfo at a fixed rate on real ROS 2 topics.

`python -m hmr_ros.ros.virtual_camera --frames frames.npy --camera fx,fy,cx,cy`: the images lie ready in a memory map,
so the camera costs next to no processor time while latency is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from hmr_ros.io.calibration import read_camera
from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.ending import Ending

FRAME_ID = "camera_optical_frame"


def main(argv: list[str] | None = None) -> int:
    """Publish until `--seconds` are over or a signal comes; then write what was sent to `--log`."""
    args = _parser().parse_args(argv)
    frames = np.load(args.frames, mmap_mode="r")
    sent: list[int] = []
    with Ending() as ending, ending.deferred() as is_over:
        rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        node = rclpy.create_node("virtual_camera")
        try:
            _publish(node, frames, args, sent, is_over)
        finally:
            if args.log:
                args.log.write_text(json.dumps({"stamps_ns": sent, "loop": len(frames)}), encoding="utf-8")
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


def _publish(node: Node, frames: Any, args: argparse.Namespace, sent: list[int], is_over: Callable[[], bool]) -> None:
    qos = QoSProfile(depth=4, reliability=ReliabilityPolicy.RELIABLE)
    images = node.create_publisher(Image, args.topic, qos)
    infos = node.create_publisher(CameraInfo, args.info_topic, qos)
    info = camera_info(args.camera, frames.shape[2], frames.shape[1])
    _wait_for_subscriber(images, is_over)
    while not is_over() and time.time() < args.start_at:
        time.sleep(min(0.05, max(0.0, args.start_at - time.time())))
    period = 1.0 / args.fps
    start = time.monotonic()
    for count in range(round(args.seconds * args.fps)):
        time.sleep(max(0.0, start + count * period - time.monotonic()))
        if is_over():
            return
        message = image_message(frames[count % len(frames)])
        stamp = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        info.header = message.header
        infos.publish(info)
        images.publish(message)
        sent.append(stamp)


def _wait_for_subscriber(publisher: Any, is_over: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_over() and publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)


def image_message(image: Any) -> Image:
    """An image [H,W,3] BGR as a message without a stamp."""
    message = Image()
    message.header.frame_id = FRAME_ID
    message.height, message.width = image.shape[:2]
    message.encoding, message.step = "bgr8", 3 * image.shape[1]
    message.data = image_bytes(image)
    return message


def camera_info(text: str, width: int, height: int) -> CameraInfo:
    """Intrinsics (`fx,fy,cx,cy` or a camera_info YAML) as a message without a header."""
    camera = read_camera(text)
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.d = [0.0] * 5 if camera.distortion is None else [float(x) for x in camera.distortion]
    info.k = camera.K.reshape(-1)
    info.r = np.eye(3).reshape(-1)
    info.p = np.c_[camera.K, np.zeros(3)].reshape(-1)
    return info


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="images as .npy, uint8 [N,H,W,3] BGR")
    parser.add_argument("--camera", required=True, help="fx,fy,cx,cy or camera_info YAML")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--start-at", type=float, default=0.0, metavar="T", help="unix time s; cameras begin together")
    parser.add_argument("--topic", default="/camera/image_raw")
    parser.add_argument("--info-topic", default="/camera/camera_info")
    parser.add_argument("--log", type=Path, help="JSON file for the stamps that were sent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
