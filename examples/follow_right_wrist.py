"""A subscriber of the node: where the nearest person's right wrist is, as a point that a robot can follow.

Start the node (`hmr live` or `ros2 launch hmr_ros live.launch.py`), then

    python examples/follow_right_wrist.py

and look at it with `ros2 topic echo /right_wrist`.
"""

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from hmr_ros.msg import HumanArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from hmr_ros.body.joints import SMPL

RIGHT_WRIST = SMPL["right_wrist"]


class RightWristFollower(Node):
    """Keeps to one person until that person is gone, then takes the nearest."""

    def __init__(self) -> None:
        super().__init__("right_wrist_follower")
        self._followed = None  # track_id
        self._points = self.create_publisher(PointStamped, "/right_wrist", 10)
        self.create_subscription(HumanArray, "/hmr/humans", self._on_humans, 10)

    def _on_humans(self, message: HumanArray) -> None:
        people = {human.track_id: np.asarray(human.joints).reshape(24, 3) for human in message.humans}
        if not people:
            return
        if self._followed not in people:
            self._followed = min(people, key=lambda i: np.linalg.norm(people[i][0]))  # joint 0 is the pelvis
            self.get_logger().info(f"following person {self._followed}")
        point = PointStamped(header=message.header)  # stamp and optical frame of the image
        point.point.x, point.point.y, point.point.z = people[self._followed][RIGHT_WRIST].tolist()
        self._points.publish(point)


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    node = RightWristFollower()
    try:
        while rclpy.ok():  # rclpy.spin would wait for ever where a signal comes between two of its waits
            rclpy.spin_once(node, timeout_sec=0.5)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
