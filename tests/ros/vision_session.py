"""Run by test_detections.py where vision_msgs is on the path: the node with a detector that publishes it, as JSON."""

import json
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent))

from diagnostic_msgs.msg import DiagnosticStatus
from live_robot import Robot
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

robot = Robot("-r", "detections:=/detectnet/detections")
robot.node.autostart()
image = cv2.imread(sys.argv[1])
x, y, width, height = json.loads(sys.argv[2])
report = {}


def people():
    return max((len(a.humans) for a in robot.answers), default=0)


robot.show(image, lambda: len(robot.answers) > 10)  # nobody publishes boxes yet, nor their type
report["without"] = people()
publisher = robot.client.create_publisher(Detection2DArray, "/detectnet/detections", 10)


def detecting(name, condition):
    """Boxes of this class between the images."""

    def see():
        message = Detection2DArray()
        message.header.stamp = robot.client.get_clock().now().to_msg()
        detection = Detection2D(header=message.header, results=[ObjectHypothesisWithPose()])
        detection.results[0].hypothesis.class_id, detection.results[0].hypothesis.score = name, 0.9
        detection.bbox.center.position.x, detection.bbox.center.position.y = x, y
        detection.bbox.size_x, detection.bbox.size_y = width, height
        message.detections = [detection]
        publisher.publish(message)
        return condition()

    return see


said = robot.said(DiagnosticStatus.WARN, "boxes are of class")
robot.show(image, detecting("dog", said))
report["said"] = next(s.message for s in robot.statuses if "boxes are of class" in s.message)
report["of_others"] = people()
robot.show(image, detecting("person", lambda: people() > 0))
report["people"] = people()
subscriptions = dict(robot.client.get_subscriber_names_and_types_by_node("hmr", "/"))
report["subscribed"] = subscriptions["/detectnet/detections"]
robot.close()
print(json.dumps(report))
