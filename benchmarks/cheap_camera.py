"""A camera that costs next to nothing: images lie ready in memory as DDS wants them, only the stamp is written.

`python benchmarks/cheap_camera.py --frames FILE.npy --fps 60 --seconds 60 --log FILE.json`. The log has the stamps that
were sent, and the share of a core that this took.
"""

import argparse
import json
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from hmr_ros.geometry.camera import guess_camera
from hmr_ros.ros.virtual_camera import camera_info, image_message

_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # behind the header of the encapsulation


def main() -> None:
    """Publish in a loop for some seconds."""
    args = _parser().parse_args()
    frames = np.load(args.frames, mmap_mode="r")
    images = [bytearray(serialize_message(image_message(frame))) for frame in frames[:: args.every]]
    height, width = frames.shape[1:3]
    K = guess_camera(width, height).K
    info = camera_info(f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}", width, height)
    info.header.frame_id = "camera_optical_frame"
    rclpy.init()
    node = rclpy.create_node("cheap_camera")
    signal.signal(signal.SIGTERM, _stop)
    sent: list[int] = []
    start, used = time.monotonic(), time.process_time()
    try:
        publish(node, images, bytearray(serialize_message(info)), args, sent)
    except KeyboardInterrupt:
        pass
    finally:
        share = (time.process_time() - used) / (time.monotonic() - start)
        args.log.write_text(json.dumps({"stamps_ns": sent, "share_of_a_core": share, "pid": os.getpid()}))


def publish(node: Any, images: list[bytearray], info: bytearray, args: argparse.Namespace, sent: list[int]) -> None:
    """Both topics at the rate that was asked for; an image that is late is left out, like a camera's."""
    to_images = node.create_publisher(Image, f"{args.topic}/image_raw", 2)
    to_infos = node.create_publisher(CameraInfo, f"{args.topic}/camera_info", 2)
    while not to_images.get_subscription_count():
        time.sleep(0.05)
    start, end = time.monotonic(), time.monotonic() + args.seconds
    count = 0
    while (now := time.monotonic()) < end:
        count = max(count + 1, int((now - start) * args.fps))
        time.sleep(max(0.0, start + count / args.fps - now))
        image = images[count % len(images)]
        stamp = time.time_ns()
        for message in (info, image):
            _STAMP.pack_into(message, _STAMP_AT, *divmod(stamp, 10**9))
        to_infos.publish(bytes(info))
        to_images.publish(bytes(image))
        sent.append(stamp)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--every", type=int, default=1, help="take every Nth image of the file")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--topic", default="/camera")
    parser.add_argument("--log", type=Path, required=True)
    return parser


if __name__ == "__main__":
    main()
