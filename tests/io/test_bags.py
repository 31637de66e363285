"""Bags: images of all three formats in, people with the original stamps out."""

import cv2
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


def test_images_above_the_limit_of_pixels_are_left_out(tmp_path):
    path = write_bag(tmp_path / "b", "sqlite3")
    with BagImages(path, max_pixels=48 * 64 - 1) as images:
        assert not list(images)
    assert images.skipped == images.count > 0
    assert all("raise input.max_megapixels" in reason for reason in images.left_out)


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


def write_depth_bag(path, depths, size=(64, 48), frame_id="optical", compressed=False):
    """Images at STAMPS, and depth messages of (ms after the stamp of image i, encoding, value) with `depths[i]`."""
    types = get_typestore(Stores.ROS2_JAZZY)
    t = types.types

    def header(stamp, frame):
        return t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9), frame)

    with Writer2(path, version=8) as writer:
        kind, depth_kind = "sensor_msgs/msg/Image", f"sensor_msgs/msg/{'CompressedImage' if compressed else 'Image'}"
        color = writer.add_connection("/camera/color/image_raw", kind, typestore=types)
        depth = writer.add_connection("/camera/depth/image", depth_kind, typestore=types)
        for i, stamp in enumerate(STAMPS):
            message = t[kind](header(stamp, "optical"), 48, 64, "bgr8", 0, 192, np.full(48 * 192, i, np.uint8))
            writer.write(color, stamp, types.serialize_cdr(message, kind))
            if depths[i] is None:
                continue
            after_ms, encoding, value = depths[i]
            array = np.full(size[::-1], value, np.uint16 if encoding == "16UC1" else np.float32)
            head = header(stamp + round(after_ms * 1e6), frame_id)
            if compressed:
                data = np.frombuffer(bytes(12) + cv2.imencode(".png", array)[1].tobytes(), np.uint8)
                message = t[depth_kind](head, f"{encoding}; compressedDepth png", data)
            else:
                data = array.view(np.uint8).ravel()
                message = t[depth_kind](head, *array.shape, encoding, 0, array.strides[0], data)
            writer.write(depth, stamp + 20_000_000, types.serialize_cdr(message, depth_kind))
    return path


COLOR, DEPTH = "/camera/color/image_raw", "/camera/depth/image"


@pytest.mark.parametrize("compressed", [False, True])
def test_depth_comes_with_its_image(tmp_path, caplog, compressed):
    last = (3, "16UC1", 3000) if compressed else (3, "32FC1", 3.0)
    path = write_depth_bag(tmp_path / "b", [(0, "16UC1", 1000), (-15, "16UC1", 2000), last], compressed=compressed)
    with BagImages(path, depth_topic=DEPTH, camera=read_camera("300,300,32,24")) as images:
        assert images.topic == COLOR  # the depth topic is no choice of it
        frames = list(images)
        assert images.without_depth == 0
    assert [f.stamp_ns for f in frames] == STAMPS and [f.index for f in frames] == [0, 1, 2]
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2]
    np.testing.assert_allclose([f.depth[20, 20] for f in frames], [1, 2, 3])
    assert frames[0].depth.shape == (48, 64) and not caplog.text


def test_images_without_near_depth_have_none(tmp_path):
    path = write_depth_bag(tmp_path / "b", [(-19, "16UC1", 1000), None, (16, "16UC1", 3000)])
    with BagImages(path, depth_topic=DEPTH) as images:  # frames are 33 and 37 ms long
        assert [f.depth is None for f in images] == [True, True, False]
        assert images.without_depth == 2


def test_depth_that_is_not_registered_is_refused_with_the_cure(tmp_path, caplog):
    path = write_depth_bag(tmp_path / "b", [(0, "16UC1", 1000)] * 3, size=(32, 24))
    with pytest.raises(InputError, match="/camera/depth/image is 32x24, the colour image is 64x48; register it to"):
        frames_of(path, depth_topic=DEPTH)
    frames_of(write_depth_bag(tmp_path / "c", [(0, "16UC1", 1000)] * 3, frame_id="ir"), depth_topic=DEPTH)
    assert caplog.text.count("depth is in frame 'ir', the image in 'optical': is it registered?") == 1


def test_depth_that_cannot_be_decoded_leaves_the_image(tmp_path, caplog):
    path = write_depth_bag(tmp_path / "b", [(0, "16UC1", 1000), (0, "8UC4", 1.0), (0, "16UC1", 1000)])
    assert [f.depth is None for f in frames_of(path, depth_topic=DEPTH)] == [False, True, False]
    assert "depth left out: depth encoding '8UC4'" in caplog.text


def test_a_depth_topic_that_is_not_there(tmp_path):
    path = write_depth_bag(tmp_path / "b", [None] * 3)
    with pytest.raises(InputError, match="no depth topic /other; it has /camera/color/image_raw, /camera/depth/image"):
        BagImages(path, depth_topic="/other")
    with BagImages(path, COLOR, depth_topic=DEPTH) as images:
        assert [f.depth for f in images] == [None] * 3 and images.without_depth == 3


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
    assert [f.stamp_ns for f in frames_of(path)] == STAMPS[:2]  # without index, and the end of the last image
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="cannot read bag"):
        frames_of(path)
