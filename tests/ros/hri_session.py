"""Run by test_hri.py where hri_msgs and people_msgs are on the path: the node's topics for one person, as JSON."""

import json
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent))

from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D, Skeleton2D
from live_robot import Robot
from people_msgs.msg import People
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

robot = Robot(*sys.argv[2:])
robot.node.autostart()
image = cv2.imread(sys.argv[1])
came = {}


def listen(kind, topic, qos=10):
    robot.client.create_subscription(kind, topic, lambda m: came.setdefault(topic, []).append(m), qos)


def last(topic):
    return came[topic][-1]


listen(IdsList, "/humans/bodies/tracked")
listen(People, "/people")
robot.show(image, lambda: "/humans/bodies/tracked" in came and last("/humans/bodies/tracked").ids)
(body,) = last("/humans/bodies/tracked").ids
base = f"/humans/bodies/{body}"
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
listen(NormalizedRegionOfInterest2D, f"{base}/roi")
listen(Skeleton2D, f"{base}/skeleton2d")
listen(JointState, f"{base}/joint_states")
listen(String, f"{base}/urdf", latched)
robot.show(image, lambda: len(came) == 6 and any(a.humans for a in robot.answers) and last("/people").people)
roi, skeleton, joints = (last(f"{base}/{t}") for t in ("roi", "skeleton2d", "joint_states"))
(person,) = last("/people").people
human = next(a for a in reversed(robot.answers) if a.humans).humans[0]
report = {
    "id": human.id,
    "body": body,
    "frame_ids": [m.header.frame_id for m in (roi, skeleton, joints, last("/people"))],
    "roi": [roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c],
    "skeleton": [[p.x, p.y, p.c] for p in skeleton.skeleton],
    "keypoints": human.keypoints_2d.tolist(),
    "joints": dict(zip(joints.name, joints.position, strict=True)),
    "urdf": last(f"{base}/urdf").data,
    "person": [person.name, person.position.z, person.velocity.z, person.reliability],
    "pelvis_z": human.pelvis.pose.position.z,
    "topics": dict(robot.client.get_publisher_names_and_types_by_node("hmr", "/")),
}
gone = image * 0 + 110
robot.show(gone, lambda: not last("/humans/bodies/tracked").ids)


def published():
    return [topic for topic in came if topic.startswith("/humans") and robot.client.count_publishers(topic)]


robot.spin_until(lambda: len(published()) < 2)  # that a publisher is gone is heard a little later
report["after"] = published()
robot.show(image, lambda: last("/humans/bodies/tracked").ids and last("/people").people)
robot.enable(False)
robot.spin_until(lambda: not last("/humans/bodies/tracked").ids and not last("/people").people and len(published()) < 2)
report["deactivated"] = published()
robot.close()
print(json.dumps(report))
