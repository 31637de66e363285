"""Topics follow namespace and remaps, the transport is the one that is there, and silence is explained."""

import time
from types import SimpleNamespace

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live_robot import anybody, started
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.graph import RAW, why_silent

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def raw(image, node):
    message = Image(height=image.shape[0], width=image.shape[1], encoding="bgr8", step=3 * image.shape[1])
    message.header.stamp, message.header.frame_id = node.get_clock().now().to_msg(), "optical"
    message.data = image_bytes(image)
    return message


def jpeg(image, node):
    message = CompressedImage(format="bgr8; jpeg compressed bgr8", data=cv2.imencode(".jpg", image)[1].tobytes())
    message.header.stamp, message.header.frame_id = node.get_clock().now().to_msg(), "optical"
    return message


def play(robot, kind, topic, make, image, condition, qos=10, info=None, K=None):
    """Publish until the condition holds."""
    publisher = robot.client.create_publisher(kind, topic, qos)
    infos = robot.client.create_publisher(CameraInfo, info, 10) if info else None

    def attempt():
        message = make(image, robot.client)
        if infos is not None:
            infos.publish(CameraInfo(header=message.header, k=K.reshape(-1)))
        publisher.publish(message)
        time.sleep(0.02)
        return condition()

    robot.spin_until(attempt)
    robot.client.destroy_publisher(publisher)


@pytest.mark.parametrize(
    ("arguments", "image", "info"),
    [
        ([], "/image", "/camera_info"),
        (["-r", "__ns:=/robot"], "/robot/image", "/robot/camera_info"),
        (["-r", "image:=/cam/color/image_raw"], "/cam/color/image_raw", "/cam/color/camera_info"),
        (["-r", "image:=color", "-r", "__ns:=/robot"], "/robot/color", "/robot/camera_info"),
        (["-p", "input.image_topic:=/cam/color/image_raw"], "/cam/color/image_raw", "/cam/color/camera_info"),
        (["-p", "input.image_topic:=/cam/image_raw/compressed"], "/cam/image_raw/compressed", "/cam/camera_info"),
        (["-p", "input.image_topic:=cam/image", "-r", "__ns:=/robot"], "/robot/cam/image", "/robot/cam/camera_info"),
        (["-r", "image:=/cam/image", "-r", "camera_info:=/other/info"], "/cam/image", "/other/info"),
        (["-r", "image:=/cam/image", "-p", "input.camera_info_topic:=/given"], "/cam/image", "/given"),
    ],
)
def test_names(robot, arguments, image, info):
    r = started(robot, *arguments)
    topics = {s.topic_name for s in r.node.subscriptions}
    assert {image, info} <= topics


def test_depth_is_asked_for_where_it_is_remapped_or_named(robot):
    r = started(robot, "-r", "depth:=/cam/depth")
    assert "/cam/depth" in {s.topic_name for s in r.node.subscriptions}


def test_without_that_there_is_no_depth(robot):
    r = started(robot)
    assert not [s for s in r.node.subscriptions if "depth" in s.topic_name]


@pytest.mark.parametrize(
    ("transport", "kind", "topic"),
    [
        ("auto", Image, "/image"),
        ("auto", CompressedImage, "/image"),
        ("auto", CompressedImage, "/image/compressed"),
        ("compressed", CompressedImage, "/image"),
        ("compressed", CompressedImage, "/image/compressed"),
    ],
)
def test_the_transport_that_is_there_is_taken(robot, rendered, transport, kind, topic):
    r = started(robot, "-p", f"input.transport:={transport}")
    info = ("/camera_info", rendered[2].K)
    play(r, kind, topic, raw if kind is Image else jpeg, rendered[0][0], anybody(r), info=info[0], K=info[1])


def test_a_camera_that_comes_back_in_another_transport_is_found(robot, rendered):
    r = started(robot)
    play(r, Image, "/image", raw, rendered[0][0], anybody(r))
    r.answers.clear()
    play(r, CompressedImage, "/image", jpeg, rendered[0][0], anybody(r))


def test_nobody_publishes(robot):
    r = started(robot)
    r.client.create_publisher(Image, "/front/image_raw", 10)
    r.client.create_publisher(CompressedImage, "/back/image_raw/compressed", 10)
    r.spin_until(r.said(DiagnosticStatus.STALE, "no image on /image yet: nobody publishes it; image topics are"))
    r.spin_until(r.said(DiagnosticStatus.STALE, "/back/image_raw/compressed, /front/image_raw: set image_topic"))
    assert "/hmr/overlay" not in r.statuses[-1].message


def test_no_image_topic_at_all(robot):
    r = started(robot)
    r.spin_until(r.said(DiagnosticStatus.STALE, "no image topic is there: start the camera, and check ROS_DOMAIN_ID"))


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ([], String, "it carries std_msgs/msg/String, no images"),
        (["-p", "input.transport:=raw"], CompressedImage, "set input.transport: auto"),
        (["-p", "input.transport:=compressed"], Image, "set input.transport: auto"),
    ],
)
def test_another_type(robot, arguments, kind, said):
    r = started(robot, *arguments)
    r.client.create_publisher(kind, "/image", 10)
    r.spin_until(r.said(DiagnosticStatus.STALE, said))


def test_a_qos_that_does_not_fit(robot, rendered):
    r = started(robot, "-p", "input.reliability:=reliable")
    r.images = r.client.create_publisher(Image, "/image", BEST_EFFORT)
    r.show(rendered[0][0], r.said(DiagnosticStatus.STALE, "the QoS of client does not fit"))
    assert "input.reliability: best_effort" in r.statuses[-1].message


def test_a_reliable_image_leaves_camera_info_alone(robot, rendered):
    r = started(robot, "-p", "input.reliability:=reliable")
    infos = r.client.create_publisher(CameraInfo, "/camera_info", BEST_EFFORT)
    r.show(
        rendered[0][0],
        lambda: infos.publish(CameraInfo(k=rendered[2].K.reshape(-1))) or r.said(DiagnosticStatus.OK, "running")(),
    )


def test_qos_overrides(robot, rendered):
    name = "qos_overrides./image.subscription"
    r = started(robot, "-p", f"{name}.reliability:=reliable", "-p", f"{name}.depth:=3")
    (info,) = r.client.get_subscriptions_info_by_topic("/image")
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert info.qos_profile.durability == DurabilityPolicy.VOLATILE
    r.show(rendered[0][0], anybody(r))


def test_a_paused_camera_is_told_from_a_missing_one(robot):
    r = started(robot)
    assert r.images
    r.spin_until(r.said(DiagnosticStatus.STALE, "client publishes it, but nothing comes"))


def test_no_camera_info_and_where_there_is_one(robot, rendered):
    r = started(robot)
    r.client.create_publisher(CameraInfo, "/elsewhere/camera_info", 10)
    wanted = "no CameraInfo on /camera_info yet, nobody publishes it; there are /elsewhere/camera_info"
    r.show(rendered[0][0], r.said(DiagnosticStatus.WARN, wanted))


def test_images_that_are_lost_on_the_way_are_counted(robot, rendered):
    r = started(robot)
    infos = r.client.create_publisher(CameraInfo, "/camera_info", 50)

    def announce():
        for _ in range(3):  # images that never come
            infos.publish(CameraInfo(k=rendered[2].K.reshape(-1)))
            for _ in range(3):
                r.spin_once()
        return r.said(DiagnosticStatus.WARN, "images that CameraInfo announced did not come")()

    r.show(rendered[0][0], announce)


@pytest.mark.parametrize("damage", ["encoding", "short", "empty", "jpeg"])
def test_images_that_all_fail_are_an_error(robot, rendered, damage):
    r = started(robot)

    def make(image, node):
        message = (jpeg if damage == "jpeg" else raw)(image, node)
        if damage == "encoding":
            message.encoding = "made_up"
        elif damage == "empty":
            message.height = message.width = message.step = 0
            message.data = b""
        else:
            message.data = bytes(message.data)[:1000]
        return message

    kind = CompressedImage if damage == "jpeg" else Image
    play(r, kind, "/image", make, rendered[0][0], r.said(DiagnosticStatus.ERROR, "images could not be processed"))


def test_a_stamp_that_jumps_back_is_said(robot, rendered):
    r = started(robot)

    def backwards(image, node):
        message = raw(image, node)
        backwards.sec -= 1
        message.header.stamp.sec = backwards.sec
        return message

    backwards.sec = 10**9
    play(r, Image, "/image", backwards, rendered[0][0], r.said(DiagnosticStatus.WARN, "stamps of images jump back"))


def test_a_stamp_that_repeats_is_said(robot, rendered):
    r = started(robot)

    def frozen(image, node):
        message = raw(image, node)
        message.header.stamp.sec, message.header.stamp.nanosec = 10**9, 5
        return message

    play(r, Image, "/image", frozen, rendered[0][0], r.said(DiagnosticStatus.WARN, "the stamp of the one before"))


def test_an_image_has_the_intrinsics_of_its_own_size_while_the_resolution_changes(robot):
    r = started(robot)
    inputs = r.node._inputs
    for width, height, focal in ((640, 480, 500.0), (320, 240, 250.0)):
        info = CameraInfo(width=width, height=height, k=[focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1])
        inputs._on_info(info)
    assert [inputs.camera(*size)[0].K[0, 0] for size in ((640, 480), (320, 240))] == [500.0, 250.0]
    camera, problem = inputs.camera(1280, 720)
    assert camera.guessed and "calibration is for 320x240" in problem


def test_a_publisher_whose_name_is_not_known_yet_is_somebody():
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = SimpleNamespace(topic_type=RAW, node_name="_NODE_NAME_UNKNOWN_", qos_profile=qos)
    graph = SimpleNamespace(get_publishers_info_by_topic=lambda _: [publisher])
    assert why_silent(graph, "/image", RAW, qos).startswith("somebody publishes it")
    publisher.node_name = "camera"
    assert why_silent(graph, "/image", RAW, qos).startswith("camera publishes it")
