"""What a running node publishes reaches the page: people with the image that they were found in."""

import os
import signal
import socket
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import rclpy
from hmr_ros.msg import HumanArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from hmr_ros.errors import ConfigError
from hmr_ros.ros.convert import humans_to_msg, image_to_msg
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.graph import INFO, RAW, camera_of, topics_of
from hmr_ros.ros.viewer import ViewNode
from hmr_ros.view.browser.playback import Playback
from hmr_ros.world.gravity import LEVEL


@pytest.fixture
def ros():
    prepare_environment()
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def seen(ros, human):
    """Publishes an image and its people until the page has a moment of both; `frame_id` is that of the people."""
    playback = Playback()
    node = ViewNode("/hmr/humans", None, human.body_model, playback, lambda: True)
    camera = rclpy.create_node("camera")
    images = camera.create_publisher(Image, "/front/image_raw", 10)
    people = camera.create_publisher(HumanArray, "/hmr/humans", 10)
    executor = SingleThreadedExecutor()
    for one in (node, camera):
        executor.add_node(one)

    def publish(frame_id, humans):
        deadline = time.monotonic() + 60
        while not (len(playback) and playback.current().image):
            assert time.monotonic() < deadline
            header = Header(frame_id="optical", stamp=camera.get_clock().now().to_msg())
            images.publish(image_to_msg(np.full((480, 640, 3), 90, np.uint8), header))
            for _ in range(5):
                executor.spin_once(timeout_sec=0.02)
            people.publish(humans_to_msg(humans, Header(frame_id=frame_id, stamp=header.stamp)))
            for _ in range(5):
                executor.spin_once(timeout_sec=0.02)
        return playback.current()

    yield publish
    executor.shutdown()
    node.destroy_node()
    camera.destroy_node()


def test_people_and_image_of_one_stamp_are_shown_together(seen, human):
    moment = seen("optical", [human])
    assert [h.track_id for h in moment.humans] == [human.track_id]
    np.testing.assert_allclose(moment.humans[0].joints, human.joints, atol=1e-5)
    assert (moment.width, moment.height) == (640, 480) and moment.in_camera and moment.delay_s < 60
    np.testing.assert_array_equal(moment.R_world_camera, LEVEL)
    image = cv2.imdecode(np.frombuffer(moment.image, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (360, 480, 3)
    assert np.abs(image.astype(int) - 90).max() > 50  # the skeleton is drawn on it


def test_people_in_a_frame_of_the_robot_have_z_up_already(seen, human):
    moment = seen("base_link", [human])
    assert not moment.in_camera
    np.testing.assert_array_equal(moment.R_world_camera, np.eye(3))


def test_the_images_are_those_of_the_camera(ros, human):
    """Not what the node draws, nor depth; the robot's own camera before another's."""
    topics = [
        "/a/hmr/overlay", "/a/camera/aligned_depth_to_color/image_raw", "/a/camera/color/image_raw", "/a/arm/image",
        "/b/color/image_raw", "/c/depthai/stereo/depth", "/c/depthai/rgb/image",
    ]  # fmt: skip
    camera = rclpy.create_node("camera")
    publishers = [camera.create_publisher(Image, topic, 10) for topic in topics]
    infos = [camera.create_publisher(CameraInfo, "/a/camera/color/camera_info", 10)]
    node = rclpy.create_node("viewer")
    deadline = time.monotonic() + 60
    while len(topics_of(node, RAW)) < len(publishers) or not topics_of(node, INFO):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert camera_of(node, "/a/hmr/humans") == "/a/camera/color/image_raw"
    assert camera_of(node, "/b/hmr/humans") == "/b/color/image_raw"
    assert camera_of(node, "/c/hmr/humans") == "/c/depthai/rgb/image"
    assert camera_of(node, "/humans") == "/a/camera/color/image_raw"
    for one in (*publishers, *infos):
        one.destroy()
    camera.destroy_node()
    node.destroy_node()


@pytest.mark.parametrize(
    ("camera", "people", "in_camera"),
    [(None, "color_optical_frame", True), (None, "map", False), ("camera", "camera", True), ("optical", "map", False)],
)
def test_people_whose_image_was_not_seen_are_turned_as_others_are(ros, human, camera, people, in_camera):
    """Nobody watches, so that no image is kept; but its frame is."""
    playback = Playback()
    node = ViewNode("/hmr/humans", "/image_raw", human.body_model, playback, lambda: False)
    if camera is not None:
        node._on_image(image_to_msg(np.zeros((48, 64, 3), np.uint8), Header(frame_id=camera)))
    node._on_humans(humans_to_msg([human], Header(frame_id=people)))
    moment = playback.current()
    assert moment.image is None and moment.in_camera == in_camera
    np.testing.assert_array_equal(moment.R_world_camera, LEVEL if in_camera else np.eye(3))
    node.destroy_node()


def test_a_wrong_topic_name_is_refused_with_the_option(ros, human):
    with pytest.raises(ConfigError, match="--humans-topic"):
        ViewNode("not a topic", None, human.body_model, Playback(), lambda: True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_on_a_signal(number):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "hmr_ros", "view", "--ros", "--port", str(port)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert any("http://" in line for line in iter(process.stdout.readline, ""))
        process.send_signal(number)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
