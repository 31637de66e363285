"""The example subscriber: keeps to one person and says where that person's right wrist is."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PointStamped
from hmr_ros.msg import HumanArray
from std_msgs.msg import Header

from hmr_ros.ros.convert import humans_to_msg

EXAMPLE = Path(__file__).parents[2] / "examples" / "follow_right_wrist.py"


@pytest.fixture
def graph():
    rclpy.init()
    node = rclpy.create_node("people")
    example = subprocess.Popen([sys.executable, str(EXAMPLE)], cwd=EXAMPLE.parents[1])
    yield node
    node.destroy_node()
    rclpy.try_shutdown()
    example.terminate()
    example.wait(timeout=10)


def test_it_follows_the_nearest_and_then_whoever_is_left(graph, human):
    points = []
    people = graph.create_publisher(HumanArray, "/hmr/humans", 10)
    graph.create_subscription(PointStamped, "/right_wrist", points.append, 10)
    near = replace(human, track_id=1)
    far = replace(human, track_id=2, joints=human.joints + np.array([0.5, 0.0, 2.0]))
    nearer = replace(human, track_id=3, joints=human.joints - np.array([0.0, 0.0, 1.0]))

    def wrist_of(crowd):
        points.clear()
        deadline = time.monotonic() + 20
        while not points:
            assert time.monotonic() < deadline, "no point came"
            people.publish(humans_to_msg(crowd, Header(frame_id="optical")))
            rclpy.spin_once(graph, timeout_sec=0.2)
        assert points[-1].header.frame_id == "optical"
        p = points[-1].point
        return [p.x, p.y, p.z]

    np.testing.assert_allclose(wrist_of([far, near]), near.joints[21], rtol=1e-5)
    np.testing.assert_allclose(wrist_of([nearer, far, near]), near.joints[21], rtol=1e-5)
    for _ in range(10):  # what was sent before is answered first
        rclpy.spin_once(graph, timeout_sec=0.1)
    np.testing.assert_allclose(wrist_of([far]), far.joints[21], rtol=1e-5)
