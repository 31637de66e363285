"""The node sees every image through the camera that its CameraInfo means."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image

from hmr_ros.factory import build_pipeline
from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.node import HmrNode

WINDOW = {"x_offset": 100, "y_offset": 40, "width": 320, "height": 240}


def camera_of_a_frame(arguments, topic, **info):
    """What the pipeline gets with an image on `topic` and a CameraInfo beside it."""
    prepare_environment()
    rclpy.init(args=["--ros-args", "-p", "recover:=kinematic", "-p", "refine:=none", *arguments])
    cameras = []

    def factory(config):
        pipeline = build_pipeline(config)
        step = pipeline.step
        pipeline.step = lambda frame: cameras.append(frame.camera) or step(frame)
        return pipeline

    node, driver, executor = HmrNode(factory), rclpy.create_node("driver"), SingleThreadedExecutor()
    node.autostart()
    cameras.clear()  # of the warm-up
    try:
        executor.add_node(node)
        executor.add_node(driver)
        images = driver.create_publisher(Image, topic, 10)
        infos = driver.create_publisher(CameraInfo, "/camera/camera_info", 10)
        message = Image(height=240, width=320, encoding="bgr8", step=960)
        message.data = image_bytes(np.zeros((240, 320, 3), np.uint8))
        known = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=[-0.3, 0.1, 0.0, 0.0, 0.0])
        known.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
        known.p = [400.0, 0.0, 310.0, 0.0, 0.0, 400.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        for name, value in info.items():
            setattr(known.roi, name, value)
        deadline = time.monotonic() + 30
        while not any(not c.guessed for c in cameras):
            assert time.monotonic() < deadline, "no image with its CameraInfo arrived"
            infos.publish(known)
            images.publish(message)
            executor.spin_once(timeout_sec=0.1)
        return next(c for c in cameras if not c.guessed)
    finally:
        node.stop()
        executor.shutdown()
        node.destroy_node()
        driver.destroy_node()
        rclpy.try_shutdown()


@pytest.mark.parametrize(
    ("arguments", "topic", "rectified"),
    [
        (["-p", "input.image_topic:=/camera/image_raw"], "/camera/image_raw", False),
        (["-r", "image:=/camera/image_raw"], "/camera/image_raw", False),
        (["-p", "input.image_topic:=/camera/image_rect"], "/camera/image_rect", True),
        (["-r", "image:=/camera/image_rect_color"], "/camera/image_rect_color", True),
        (["-r", "image:=/camera/image_raw", "-p", "input.rectified:=always"], "/camera/image_raw", True),
    ],
)
def test_rectified_topics_have_P_and_no_distortion(arguments, topic, rectified):
    camera = camera_of_a_frame(arguments, topic)
    np.testing.assert_allclose(camera.K[0], [200, 0, 155] if rectified else [250, 0, 160])
    assert (camera.distortion is None) == rectified


def test_a_window_of_the_sensor_moves_the_principal_point():
    camera = camera_of_a_frame(["-r", "image:=/camera/image_raw"], "/camera/image_raw", **WINDOW)
    np.testing.assert_allclose(camera.K[:2, 2], [220, 200])
    assert camera.K[0, 0] == 500
