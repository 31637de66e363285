"""Another detector's boxes are where people come from: both messages, matched by stamp, and silence is explained."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from hmr_ros.msg import Roi, RoiArray
from live_robot import anybody, started
from rclpy.qos import QoSProfile
from rclpy.time import Time
from std_msgs.msg import Header, String

from hmr_ros.config import HmrConfig, InputConfig, with_values
from hmr_ros.errors import ConfigError
from hmr_ros.ros.detections import DetectionsTopic, wants_detections

EXTERNAL = ["-p", "detector.kind:=external"]


def person_box(truth):
    low, high = truth.joints_2d.min(0), truth.joints_2d.max(0)
    margin = 0.08 * (high - low).max()
    return [*(low - margin).tolist(), *(high - low + 2 * margin).tolist()]


class Detector:
    """Publishes the box of the one person in every image, `late_s` after the stamp that it was given."""

    def __init__(self, robot, truth, topic="detections", stamps=lambda stamp: stamp):
        self.robot, self.stamps, self.box = robot, stamps, person_box(truth)
        self.publisher = robot.client.create_publisher(RoiArray, topic, 10)

    def __call__(self, condition):
        """To be asked between two images."""

        def see():
            now = self.robot.client.get_clock().now().nanoseconds
            header = Header(stamp=Time(nanoseconds=self.stamps(now)).to_msg(), frame_id="optical")
            x, y, width, height = self.box
            self.publisher.publish(RoiArray(header=header, rois=[Roi(x=x, y=y, width=width, height=height)]))
            return condition()

        return see


@pytest.mark.parametrize(
    ("arguments", "topic"),
    [
        (EXTERNAL, "/detections"),
        (["-r", "detections:=/yolo/people"], "/yolo/people"),
        (["-p", "input.detections_topic:=/front/boxes"], "/front/boxes"),
        ([*EXTERNAL, "-r", "__ns:=/robot", "-r", "image:=/image", "-r", "~/humans:=/hmr/humans"], "/robot/detections"),
    ],
)
def test_people_come_from_the_boxes_and_from_nowhere_else(robot, rendered, arguments, topic):
    r = started(robot, *arguments)
    r.show(rendered[0][0], lambda: len(r.answers) > 20)
    assert not anybody(r)()
    r.show(rendered[0][0], Detector(r, rendered[1][0], topic)(anybody(r)))
    human = next(a for a in r.answers if a.humans).humans[0]
    x, y, width, height = person_box(rendered[1][0])
    middle = human.bbox.x_offset + human.bbox.width / 2, human.bbox.y_offset + human.bbox.height / 2
    assert np.abs(np.array(middle) - [x + width / 2, y + height / 2]).max() < 0.2 * height


def test_without_boxes_it_is_said_who_publishes_some_and_images_are_answered(robot, rendered):
    r = started(robot, *EXTERNAL)
    r.client.create_publisher(RoiArray, "/front/people", 10)
    said = r.said(DiagnosticStatus.WARN, "nobody publishes /detections; there are /front/people: set input.detections")
    r.show(rendered[0][0], lambda: said() and len(r.answers) > 3)
    assert {v.key: v.value for v in r.statuses[-1].values}["without_boxes"] != "0"


def test_another_type_is_named(robot, rendered):
    r = started(robot, *EXTERNAL)
    r.client.create_publisher(String, "/detections", 10)
    said = r.said(DiagnosticStatus.WARN, "/detections carries std_msgs/msg/String, not hmr_ros/msg/RoiArray or vision")
    r.show(rendered[0][0], said)


def test_boxes_of_another_time_are_not_taken_and_it_is_said(robot, rendered):
    r = started(robot, *EXTERNAL)
    late = Detector(r, rendered[1][0], stamps=lambda stamp: stamp - 60 * 10**9)
    r.show(rendered[0][0], late(r.said(DiagnosticStatus.WARN, "the detector must give its boxes the stamp of")))
    assert not anybody(r)()


def test_a_detector_slower_than_the_camera_is_enough(robot, rendered):
    r = started(robot, *EXTERNAL)
    slow = Detector(r, rendered[1][0], stamps=lambda stamp: stamp - 150_000_000)
    r.show(rendered[0][0], slow(anybody(r)))


def test_one_source_of_people_not_two():
    def asked(remapped, **values):
        return wants_detections(
            remapped, with_values(HmrConfig(), {k.replace("_", ".", 1): v for k, v in values.items()})
        )

    assert not asked(False) and not asked(False, detector_kind="movenet")
    assert asked(True) and asked(False, input_detections_topic="/d") and asked(False, detector_kind="external")
    with pytest.raises(ConfigError, match=r"`detections` is remapped, but detector\.kind is 'movenet'; set"):
        asked(True, detector_kind="movenet")
    with pytest.raises(ConfigError, match=r"input\.detections_topic is '/d', but detector\.kind is 'both'"):
        asked(False, detector_kind="both", input_detections_topic="/d")


@pytest.fixture
def topic():
    rclpy.init()
    node = rclpy.create_node("detections_test")
    yield DetectionsTopic(node, "/detections", InputConfig(), QoSProfile(depth=5))
    node.destroy_node()
    rclpy.try_shutdown()


SECOND = 10**9


def message(stamp_ns, score=0.5):
    return RoiArray(
        header=Header(stamp=Time(nanoseconds=stamp_ns).to_msg()), rois=[Roi(width=9.0, height=9.0, score=score)]
    )


def warm(topic):
    """Images a second apart; boxes came a moment ago."""
    for i in range(3):
        topic.image(i * SECOND)
    topic._on_boxes(message(0, 0.1))
    return 3 * SECOND


def test_an_image_waits_for_its_own_boxes(topic, monkeypatch):
    monkeypatch.setattr("hmr_ros.ros.detections._LONGEST_WAIT_S", 30.0)
    for i in range(3):
        topic.image(i * 60 * SECOND)
    topic._on_boxes(message(200 * SECOND - 10**8, 0.1))
    answers, came_s = [], time.monotonic()
    worker = threading.Thread(target=lambda: answers.append(topic.boxes_of(200 * SECOND, came_s)))
    worker.start()
    time.sleep(0.1)
    assert worker.is_alive() and not answers
    topic._on_boxes(message(200 * SECOND, 0.75))
    worker.join(timeout=5)
    ((boxes, odd),) = answers
    assert boxes[0, 4] == 0.75 and not odd


@pytest.mark.parametrize(("wait", "since_s"), [(False, 0.0), (True, 10.0)])
def test_nobody_waits_when_there_is_no_time_or_it_is_over(topic, monkeypatch, wait, since_s):
    monkeypatch.setattr("hmr_ros.ros.detections._LONGEST_WAIT_S", 9.0)
    stamp, start = warm(topic), time.monotonic()
    boxes, _ = topic.boxes_of(stamp, start - since_s, wait)
    assert boxes is None and time.monotonic() - start < 5


def test_boxes_near_in_time_stand_in_and_their_own_go_before_them(topic):
    stamp = warm(topic)
    topic._on_boxes(message(stamp - SECOND // 5, 0.5))
    assert topic.boxes_of(stamp, 0.0, wait=False)[0][0, 4] == 0.5
    topic._on_boxes(message(stamp, 0.75))
    topic._on_boxes(message(stamp + SECOND // 100, 0.25))
    assert topic.boxes_of(stamp, 0.0)[0][0, 4] == 0.75


def test_an_image_without_anybody_is_known_to_have_nobody(topic):
    stamp = warm(topic)
    topic._on_boxes(RoiArray(header=Header(stamp=Time(nanoseconds=stamp).to_msg())))
    boxes, odd = topic.boxes_of(stamp, 0.0)
    assert boxes.shape == (0, 5) and not odd


def test_boxes_of_vision_msgs(with_messages, tmp_path, rendered):
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), rendered[0][0])
    x, y, width, height = person_box(rendered[1][0])
    box = json.dumps([x + width / 2, y + height / 2, width, height])
    command = [sys.executable, str(Path(__file__).parent / "vision_session.py"), str(image), box]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=with_messages)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.strip().splitlines()[-1])
    assert report["without"] == 0 and report["of_others"] == 0 and report["people"] == 1
    assert "boxes are of class 'dog', none of person: set input.detections_classes" in report["said"]
    assert report["subscribed"] == ["vision_msgs/msg/Detection2DArray"]
