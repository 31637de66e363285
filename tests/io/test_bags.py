"""Bags: images of all three formats in, people with the original stamps out."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hmr_ros.errors import InputError
from hmr_ros.io.bags import BagImages, HumanBagWriter
from hmr_ros.io.calibration import read_camera
from hmr_ros.io.model_store import share_file

STAMPS = [10_000_000_123, 10_033_000_456, 10_070_000_789]
FORMATS = ["sqlite3", "mcap", "ros1"]
K = (500.0, 0, 32, 0, 500, 24, 0, 0, 1)


def write_bag(
    path, kind, topics=("/camera/image_raw",), info="/camera/camera_info", K=K, encoding="bgr8", D=(0.0,) * 5
):
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
        images = [writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=types) for topic in topics]
        infos = writer.add_connection(info, "sensor_msgs/msg/CameraInfo", typestore=types)
        for i, stamp in enumerate(STAMPS):
            time = t["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            header = t["std_msgs/msg/Header"](stamp=time, frame_id="optical", **sequence)
            roi = t["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            P = np.array([400.0, 0, 30, 0, 0, 400, 20, 0, 0, 0, 1, 0])
            matrices = [np.array(K, float), np.eye(3).ravel(), P]
            message = t["sensor_msgs/msg/CameraInfo"](header, 48, 64, "plumb_bob", np.array(D), *matrices, 0, 0, roi)
            writer.write(infos, stamp, serialize(message, message.__msgtype__))
            data = np.full(48 * 64 * 3, 10 * i, np.uint8)
            message = t["sensor_msgs/msg/Image"](header, 48, 64, encoding, 0, 64 * 3, data)
            for connection in images:
                writer.write(connection, stamp, serialize(message, message.__msgtype__))
    return path


def frames_of(path, **options):
    with BagImages(path, **options) as images:
        return list(images)


@pytest.mark.parametrize("kind", FORMATS)
def test_images_come_back_with_stamps_and_intrinsics(tmp_path, kind, caplog):
    path = write_bag(tmp_path / ("b.bag" if kind == "ros1" else "b"), kind)
    with BagImages(path) as images:
        frames = list(images)
        assert images.count == 3 and images.frame_id == "optical" and not images.skipped
    assert [f.stamp_ns for f in frames] == STAMPS
    assert [int(f.image[5, 5, 1]) for f in frames] == [0, 10, 20]
    assert frames[0].camera.K[0, 0] == 500 and not frames[0].camera.guessed
    assert not caplog.text


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_camera_that_is_not_calibrated_is_guessed(tmp_path, caplog, value):
    frames = frames_of(write_bag(tmp_path / "b", "sqlite3", K=(value,) * 9))
    assert all(f.camera.guessed for f in frames)
    assert caplog.text.count("zero or invalid matrix; calibrate the camera; the focal length is guessed") == 1


@pytest.mark.parametrize(
    ("image", "info", "own"),
    [
        ("/camera/image_raw", "/camera/camera_info", True),
        ("/image_raw", "/camera_info", True),
        ("/camera/color/image_raw", "/camera/depth/camera_info", False),
        ("/camera/color/image_raw", "/camera/camera_info", False),
        ("/camera/color/image_raw", "/camera/color/camera_info_other", False),
    ],
)
def test_only_the_camera_info_beside_the_image_counts(tmp_path, caplog, image, info, own):
    frames = frames_of(write_bag(tmp_path / "b", "sqlite3", topics=(image,), info=info))
    assert [f.camera.guessed for f in frames] == [not own] * 3
    wanted = f"has no {image.rpartition('/')[0]}/camera_info; the focal length is guessed; give --camera"
    assert caplog.text.count(wanted) == (not own)


@pytest.mark.parametrize("size", ["640x360", "848x480"])
def test_another_cameras_calibration_is_not_taken(shared, caplog, size):
    frames = frames_of(shared / f"faulty_inputs/t03_other_camera_{size}")
    assert len(frames) == 3 and all(f.camera.guessed for f in frames)
    assert "has no /camera/color/camera_info; the focal length is guessed" in caplog.text


def test_a_given_camera_comes_before_the_bags(tmp_path, caplog):
    path = write_bag(tmp_path / "b", "sqlite3", topics=("/other/image_raw",))
    assert frames_of(path, camera=read_camera("300,300,32,24"))[0].camera.K[0, 0] == 300
    assert not caplog.text


@pytest.mark.parametrize(
    ("topic", "setting", "rectified"),
    [
        ("/camera/image_rect", "auto", True),
        ("/camera/image_rect_color", "auto", True),
        ("/camera/image_raw", "auto", False),
        ("/camera/image_raw", "always", True),
        ("/camera/image_rect", "never", False),
    ],
)
def test_rectified_images_are_not_undistorted_again(tmp_path, topic, setting, rectified):
    path = write_bag(tmp_path / "b", "sqlite3", topics=(topic,), D=(-0.3, 0.1, 0, 0, 0))
    camera = frames_of(path, rectified=setting)[0].camera
    assert (camera.K[0, 0], camera.K[0, 2]) == ((400, 30) if rectified else (500, 32))
    assert (camera.distortion is None) == rectified


def test_recorded_rectified_images_keep_their_projection(shared):
    camera = frames_of(shared / "faulty_inputs/t17_rect_with_D")[0].camera
    assert camera.K[0, 0] == pytest.approx(554.26) and camera.distortion is None and not camera.guessed


def test_a_window_of_the_sensor_is_the_same_camera(shared):
    window, truth = (frames_of(shared / f"faulty_inputs/{n}")[0].camera for n in ("t17_roi", "t17_roi_truth"))
    np.testing.assert_allclose(window.K, truth.K)
    assert (window.width, window.height) == (640, 360)


def test_images_that_cannot_be_decoded_are_left_out_and_named_once(tmp_path, caplog):
    path = write_bag(tmp_path / "b", "sqlite3", encoding="odd")
    with BagImages(path) as images:
        assert not list(images) and images.skipped == 3
    assert caplog.text.count("image left out: image encoding 'odd' is unknown") == 1
    frames = frames_of(path, fallback=lambda message: np.zeros((message.height, message.width, 3), np.uint8))
    assert len(frames) == 3


def test_a_topic_with_two_publishers_is_read_whole(shared):
    with BagImages(shared / "faulty_inputs/t18_two_connections") as images:
        stamps = [f.stamp_ns for f in images]
        assert len(stamps) == images.count == 6 and stamps == sorted(stamps)


def read_humans(path):
    types = get_typestore(Stores.ROS2_JAZZY)
    for name in ("Human", "HumanArray"):
        types.register(get_types_from_msg(share_file(f"msg/{name}.msg").read_text(), f"hmr_ros/msg/{name}"))
    with AnyReader([path], default_typestore=types) as reader:
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]


def test_people_come_back_with_stamp_and_frame(tmp_path, human):
    with HumanBagWriter(tmp_path / "out") as writer:
        writer.write([human], STAMPS[0], "optical")
        writer.write([], STAMPS[1], "optical")
    first, second = read_humans(tmp_path / "out")
    assert [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in (first, second)] == STAMPS[:2]
    assert first.header.frame_id == "optical" and not len(second.humans)
    np.testing.assert_allclose(first.humans[0].joints.reshape(24, 3), human.joints, rtol=1e-6)


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
