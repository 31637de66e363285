"""The node gives every image the depth that belongs to it, and never waits longer than half a frame for it."""

import threading
import time

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from hmr_ros.factory import build_pipeline
from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.depth import DepthTopic
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.node import HmrNode

MM = np.full((240, 320), 2500, np.uint16)
MM[:120] = 0


def depth_message(array, header, compressed=False):
    if compressed:
        data = bytes(12) + cv2.imencode(".png", array)[1].tobytes()
        return CompressedImage(header=header, format="16UC1; compressedDepth png", data=data)
    encoding = "16UC1" if array.dtype == np.uint16 else "32FC1"
    message = Image(header=header, height=array.shape[0], width=array.shape[1], encoding=encoding)
    message.step = array.strides[0]
    message.data = image_bytes(array.view(np.uint8))
    return message


def header(stamp_ns, frame_id="optical"):
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=frame_id)


class Camera:
    """The node and a driver in one process: publishes until the pipeline has seen what is wanted."""

    def __init__(self, *arguments):
        prepare_environment()
        rclpy.init(args=["--ros-args", "-p", "recover:=kinematic", "-p", "refine:=none", *arguments])
        self.frames, self.statuses = [], []

        def factory(config):
            pipeline = build_pipeline(config)
            step = pipeline.step
            pipeline.step = lambda frame: self.frames.append(frame) or step(frame)
            return pipeline

        self.node, self.driver = HmrNode(factory), rclpy.create_node("driver")
        self.node.autostart()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.driver)
        self.frames.clear()  # of the warm-up
        self.images = self.driver.create_publisher(Image, "/image", 10)
        self.driver.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self.statuses.extend(m.status), 10)
        self.stamp_ns = 10**12

    def play(self, condition, kind=None, topic=None, depth=None, after_ns=0, **options):
        publisher = self.driver.create_publisher(kind, topic, 10) if kind else None
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "no such frame"
            self.stamp_ns += 100_000_000
            if publisher:
                publisher.publish(depth(header(self.stamp_ns + after_ns, **options)))
            message = Image(header=header(self.stamp_ns), height=240, width=320, encoding="bgr8", step=960)
            message.data = image_bytes(np.zeros((240, 320, 3), np.uint8))
            self.images.publish(message)
            for _ in range(4):
                self.executor.spin_once(timeout_sec=0.03)

    def close(self):
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()
        self.driver.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def camera():
    made = []

    def start(*arguments):
        made.append(Camera(*arguments))
        return made[-1]

    yield start
    for c in made:
        c.close()


@pytest.mark.parametrize(
    ("arguments", "topic", "array", "compressed"),
    [
        (["-p", "input.depth_topic:=/depth"], "/depth", MM, False),
        (["-p", "input.depth_topic:=/depth"], "/depth", np.where(MM, np.float32(2.5), np.float32(np.nan)), False),
        (["-p", "input.depth_topic:=/depth/compressedDepth"], "/depth/compressedDepth", MM, True),
        (["-p", "input.depth_topic:=/d", "-r", "/d:=/cam/compressedDepth"], "/cam/compressedDepth", MM, True),
    ],
)
def test_depth_reaches_the_frames(camera, arguments, topic, array, compressed):
    c = camera(*arguments)
    kind = CompressedImage if compressed else Image
    c.play(
        lambda: any(f.depth is not None for f in c.frames), kind, topic,
        lambda head: depth_message(array, head, compressed), after_ns=20_000_000,
    )  # fmt: skip
    depth = next(f.depth for f in c.frames if f.depth is not None)
    assert depth.shape == (240, 320) and np.isnan(depth[:120]).all()
    np.testing.assert_allclose(depth[120:], 2.5)


def test_qos_overrides_go_before_the_setting(camera):
    name = "qos_overrides./depth.subscription"
    c = camera("-p", "input.depth_topic:=/depth", "-p", f"{name}.reliability:=reliable", "-p", f"{name}.depth:=3")
    c.play(lambda: any(f.depth is not None for f in c.frames), Image, "/depth", lambda head: depth_message(MM, head))
    (info,) = c.driver.get_subscriptions_info_by_topic("/depth")
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_without_the_setting_nothing_is_asked_for(camera):
    c = camera()
    c.play(lambda: len(c.frames) > 2 and any("without_depth" in str(s.values) for s in c.statuses))
    assert all(f.depth is None for f in c.frames)
    assert all({v.key: v.value for v in s.values}["without_depth"] == "0" for s in c.statuses)


@pytest.mark.parametrize(
    ("depth", "after_ns", "said"),
    [
        (MM[::2, ::2].copy(), 0, "is 160x120, the colour image is 320x240; register it to the colour image"),
        (MM, 10**10, "no depth on /depth within half a frame of the image"),
        (MM.astype(np.float32), 0, "give metres, or millimetres as uint16"),
    ],
)
def test_depth_that_does_not_fit_is_said_and_the_image_answered(camera, monkeypatch, depth, after_ns, said):
    c, warnings = camera("-p", "input.depth_topic:=/depth"), []
    warn = c.node._notices.warn
    monkeypatch.setattr(c.node._notices, "warn", lambda text: warnings.append(text) or warn(text))

    def reported():
        return any("images had no depth of /depth: check that" in s.message for s in c.statuses)

    c.play(
        lambda: reported() and any(said in w for w in warnings) and len(c.frames) > 2,
        Image,
        "/depth",
        lambda h: depth_message(depth, h),
        after_ns,
    )
    assert all(f.depth is None for f in c.frames)


def test_depth_of_another_frame_is_used_and_said(camera, monkeypatch):
    c, warnings = camera("-p", "input.depth_topic:=/depth"), []
    monkeypatch.setattr(c.node._notices, "warn", warnings.append)
    c.play(
        lambda: any(f.depth is not None for f in c.frames) and any("is it registered?" in w for w in warnings),
        Image, "/depth", lambda h: depth_message(MM, h), frame_id="infrared",
    )  # fmt: skip
    assert "depth is in frame 'infrared', the image in 'optical': is it registered?" in warnings


def test_depth_is_compared_in_the_frames_that_the_camera_gives(camera, monkeypatch):
    c, warnings = camera("-p", "input.depth_topic:=/depth", "-p", "input.optical_frame:=turned"), []
    monkeypatch.setattr(c.node._notices, "warn", warnings.append)
    c.play(lambda: sum(f.depth is not None for f in c.frames) > 2, Image, "/depth", lambda h: depth_message(MM, h))
    assert not any("is it registered?" in w for w in warnings)
    assert {f.header.frame_id for f in c.frames} == {"turned"}


@pytest.fixture
def topic():
    rclpy.init()
    node = rclpy.create_node("depth_test")
    yield DepthTopic(node, "/depth", QoSProfile(depth=5))
    node.destroy_node()
    rclpy.try_shutdown()


SECOND = 10**9


def warm(topic, period_ns=20 * SECOND):
    """Images that are 20 s apart, so that half a frame is long enough to see who waits; depth came a moment ago."""
    for i in range(3):
        topic.image(i * period_ns)
    topic._on_depth(depth_message(MM, header(0)))
    return 3 * period_ns


def test_an_image_waits_for_depth_that_comes_later(topic):
    stamp, answers = warm(topic), []
    came_s = time.monotonic()
    worker = threading.Thread(target=lambda: answers.append(topic.depth_of(header(stamp), 320, 240, came_s)))
    worker.start()
    time.sleep(0.1)
    assert worker.is_alive() and not answers
    topic._on_depth(depth_message(MM, header(stamp + 5 * SECOND)))
    worker.join(timeout=5)
    ((depth, problem),) = answers
    assert depth[200, 0] == 2.5 and not problem


def test_depth_that_is_past_ends_the_wait(topic):
    stamp, answers = warm(topic), []
    came_s = time.monotonic()
    worker = threading.Thread(target=lambda: answers.append(topic.depth_of(header(stamp), 320, 240, came_s)))
    worker.start()
    topic._on_depth(depth_message(MM, header(stamp + 15 * SECOND)))
    worker.join(timeout=5)
    assert answers[0][0] is None and "within half a frame" in answers[0][1]


@pytest.mark.parametrize("silent", [True, False])
def test_nobody_waits_longer_than_half_a_frame_or_for_a_silent_topic(topic, silent):
    stamp = warm(topic)
    if silent:
        topic._came_s -= 5
    start = time.monotonic()
    depth, _ = topic.depth_of(header(stamp), 320, 240, start if silent else start - 10)  # half a frame is over
    assert depth is None and time.monotonic() - start < 5  # of the ten seconds that half a frame is
