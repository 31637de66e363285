"""Fixtures of the commands' tests."""

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hmr_ros.io.model_store import share_file

STAMPS = [100 * 10**9 + i * 66_000_000 for i in range(8)]


def header(t, stamp):
    return t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9), "optical")


def _write_bag(path, images, depth_topic=None, others=None):
    """A bag of the walking person without CameraInfo; with depth, there is some beside every second image. `others`
    writes what else is in it, before the images: it gets the writer and the types."""
    types = get_typestore(Stores.ROS2_JAZZY)
    t = types.types
    kind, depth_kind = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
    with Writer(path, version=8) as writer:
        connection = writer.add_connection("/cam/image", kind, typestore=types)
        depths = writer.add_connection(depth_topic, depth_kind, typestore=types) if depth_topic else None
        if others is not None:
            others(writer, types)
        for i, (stamp, image) in enumerate(zip(STAMPS, images, strict=False)):
            message = t[kind](header(t, stamp), 360, 480, "bgr8", 0, 3 * 480, image.reshape(-1))
            writer.write(connection, stamp, types.serialize_cdr(message, kind))
            if depths and i % 2 == 0:
                png = cv2.imencode(".png", np.full((360, 480), 3000 + i, np.uint16))[1].tobytes()
                data = np.frombuffer(bytes(12) + png, np.uint8)
                late = header(t, stamp + 30_000_000)  # less than half of the 66 ms of a frame
                message = t[depth_kind](late, "16UC1; compressedDepth png", data)
                writer.write(depths, stamp + 31_000_000, types.serialize_cdr(message, depth_kind))
    return path


@pytest.fixture(scope="session")
def write_bag():
    """Writes a bag of images [H,W,3] of 480x360 at `bag_stamps` to a path."""
    return _write_bag


def _read_humans(path):
    types = get_typestore(Stores.ROS2_JAZZY)
    for name in ("Human", "HumanArray"):
        types.register(get_types_from_msg(share_file(f"msg/{name}.msg").read_text(), f"hmr_ros/msg/{name}"))
    with AnyReader([path], default_typestore=types) as reader:
        return [(stamp, reader.deserialize(raw, c.msgtype)) for c, stamp, raw in reader.messages()]


@pytest.fixture(scope="session")
def read_humans():
    """Stamps and messages of the people in a bag that `hmr bag` wrote."""
    return _read_humans


@pytest.fixture(scope="session")
def bag_stamps():
    """Of the images of `write_bag`, ns."""
    return STAMPS
