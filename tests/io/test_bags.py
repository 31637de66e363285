"""Bags: pictures of all three formats in, people with the original stamps out."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hmr_ros.errors import InputError
from hmr_ros.io.bags import BagImages, HumanBagWriter, process_bag
from hmr_ros.io.model_store import share_file

STAMPS = [10_000_000_123, 10_033_000_456, 10_070_000_789]
FORMATS = ["sqlite3", "mcap", "ros1"]


def write_bag(path, kind, topics=("/camera/image_raw",), K=(500.0, 0, 32, 0, 500, 24, 0, 0, 1)):
    ros1 = kind == "ros1"
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    t = types.types
    if ros1:
        writer = Writer1(path)
    else:
        writer = Writer2(
            path, version=8, storage_plugin=StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        )
    serialize = types.serialize_ros1 if ros1 else types.serialize_cdr
    sequence = {"seq": 0} if ros1 else {}
    with writer:
        pictures = [writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=types) for topic in topics]
        info = writer.add_connection("/camera/camera_info", "sensor_msgs/msg/CameraInfo", typestore=types)
        for i, stamp in enumerate(STAMPS):
            time = t["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            header = t["std_msgs/msg/Header"](stamp=time, frame_id="optical", **sequence)
            roi = t["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            matrices = [np.array(K, float), np.eye(3).ravel(), np.zeros(12)]
            message = t["sensor_msgs/msg/CameraInfo"](header, 48, 64, "plumb_bob", np.zeros(5), *matrices, 0, 0, roi)
            writer.write(info, stamp, serialize(message, message.__msgtype__))
            data = np.full(48 * 64 * 3, 10 * i, np.uint8)
            message = t["sensor_msgs/msg/Image"](header, 48, 64, "bgr8", 0, 64 * 3, data)
            for connection in pictures:
                writer.write(connection, stamp, serialize(message, message.__msgtype__))
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_come_back_with_stamps_and_intrinsics(tmp_path, kind):
    path = write_bag(tmp_path / ("b.bag" if kind == "ros1" else "b"), kind)
    with BagImages(path) as images:
        frames = list(images)
        assert images.count == 3 and images.frame_id == "optical"
    assert [f.stamp_ns for f in frames] == STAMPS
    assert [int(f.image[5, 5, 1]) for f in frames] == [0, 10, 20]
    assert frames[0].camera.K[0, 0] == 500 and not frames[0].camera.guessed


def test_zero_matrix_means_a_guess(tmp_path):
    with BagImages(write_bag(tmp_path / "b", "sqlite3", K=(0.0,) * 9)) as images:
        assert next(iter(images)).camera.guessed


class OnePerson:
    """A pipeline whose answer is known."""

    def __init__(self, human, fail_at=None):
        self.human, self.fail_at, self.calls = human, fail_at, 0

    def step(self, frame):
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        self.calls += 1
        self.answered = frame
        return [self.human]

    def finish(self):
        return iter(())


def read_humans(path):
    types = get_typestore(Stores.ROS2_JAZZY)
    for name in ("Human", "HumanArray"):
        types.register(get_types_from_msg(share_file(f"msg/{name}.msg").read_text(), f"hmr_ros/msg/{name}"))
    with AnyReader([path], default_typestore=types) as reader:
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]


def test_people_are_written_for_every_picture(tmp_path, human):
    counts = process_bag(write_bag(tmp_path / "in", "mcap"), tmp_path / "out", OnePerson(human))
    messages = read_humans(tmp_path / "out")
    assert counts.frames == 3 and len(messages) == 3
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]
    assert stamps == STAMPS and messages[0].header.frame_id == "optical"
    np.testing.assert_allclose(messages[2].humans[0].joints.reshape(24, 3), human.joints, rtol=1e-6)


def test_interruption_keeps_what_is_done(tmp_path, human):
    counts = process_bag(write_bag(tmp_path / "in", "sqlite3"), tmp_path / "out", OnePerson(human, fail_at=2))
    assert counts.interrupted and len(read_humans(tmp_path / "out")) == 2


def test_bad_bags_are_explained(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        BagImages(tmp_path / "none")
    (tmp_path / "junk.mcap").write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot read bag"):
        BagImages(tmp_path / "junk.mcap")
    with pytest.raises(InputError, match="no image topic /other; it has /camera/image_raw"):
        BagImages(write_bag(tmp_path / "b", "sqlite3"), "/other")
    with pytest.raises(InputError, match="several image topics; choose one with --topic: /a, /b"):
        BagImages(write_bag(tmp_path / "c", "sqlite3", topics=("/a", "/b")))
    with pytest.raises(InputError, match="exists already"):
        HumanBagWriter(tmp_path / "b")


def test_truncated_bag(tmp_path):
    path = write_bag(tmp_path / "b.bag", "ros1")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError):
        list(BagImages(path))
