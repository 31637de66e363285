"""Run by test_hri.py where hri_msgs and people_msgs are on the path: the topics of the node `fusion` for one person."""

import json
import sys
import time
from pathlib import Path

import rclpy

sys.path.insert(0, str(Path(__file__).parent))

from hmr_ros.msg import HumanArray
from hri_msgs.msg import IdsList
from live_robot import Peer
from people_msgs.msg import People
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from hmr_ros.ros.fusion_node import FusionNode

folder = Path(sys.argv[1])
said = {n: deserialize_message((folder / n).read_bytes(), HumanArray) for n in ("left", "right")}
rclpy.init(args=["--ros-args", "-p", f"cameras:={folder / 'cameras.yaml'}"])
fusion = Peer(FusionNode())
publishers = {n: fusion.client.create_publisher(HumanArray, f"/{n}/hmr/humans", 10) for n in said}
notices, came = [], {}
fusion.node._notices._warn = notices.append
fusion.node.autostart()


def listen(kind, topic, qos=10):
    fusion.client.create_subscription(kind, topic, lambda m: came.setdefault(topic, []).append(m), qos)


def show(condition):
    def attempt():
        stamp = fusion.client.get_clock().now().to_msg()
        for name, message in said.items():
            message.header.stamp = stamp
            publishers[name].publish(message)
        time.sleep(0.03)
        return condition()

    fusion.spin_until(attempt)


listen(IdsList, "/humans/bodies/tracked")
listen(People, "/people")
show(lambda: "/humans/bodies/tracked" in came and came["/humans/bodies/tracked"][-1].ids and fusion.answers)
(body,) = came["/humans/bodies/tracked"][-1].ids
base = f"/humans/bodies/{body}"
listen(JointState, f"{base}/joint_states")
listen(String, f"{base}/urdf", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
show(lambda: len(came) == 4 and came["/people"][-1].people)
before = list(notices)
fusion.client.create_publisher(IdsList, "/humans/bodies/tracked", 10)
show(lambda: notices)
joints, person = came[f"{base}/joint_states"][-1], came["/people"][-1]
human = fusion.answers[-1].humans[0]
report = {
    "id": human.id,
    "body": body,
    "frame_ids": [m.header.frame_id for m in (came["/humans/bodies/tracked"][-1], joints, person)],
    "names": list(joints.name),
    "urdf": came[f"{base}/urdf"][-1].data,
    "person": [person.people[0].name, *(getattr(person.people[0].position, a) for a in "xyz")],
    "pelvis": [getattr(human.pelvis.pose.position, a) for a in "xyz"],
    "topics": dict(fusion.client.get_publisher_names_and_types_by_node("fusion", "/")),
    "before": before,
    "said": notices,
}
fusion.close()
print(json.dumps(report))
