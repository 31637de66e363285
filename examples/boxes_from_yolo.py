"""yolo_ros as the detector: its boxes of people as the RoiArray that the node takes in place of its own detector.

Start yolo_ros and the node (`hmr live image_topic:=/camera/image_raw detections_topic:=/people`), then

    python examples/boxes_from_yolo.py --ros-args -r detections:=/yolo/detections -r rois:=/people

Another detector with messages of its own needs no more than another `roi_array`.
"""

from typing import Any

import rclpy
from hmr_ros.msg import Roi, RoiArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node


def roi_array(message: Any) -> RoiArray:
    """People of a yolo_msgs/DetectionArray; the header goes along, for boxes are matched to images by stamp."""
    rois = []
    for detection in message.detections:
        if detection.class_name == "person":
            middle, size = detection.bbox.center.position, detection.bbox.size
            rois.append(
                Roi(
                    x=middle.x - size.x / 2,
                    y=middle.y - size.y / 2,
                    width=size.x,
                    height=size.y,
                    score=detection.score,
                    id=detection.id,
                )
            )
    return RoiArray(header=message.header, rois=rois)


def main() -> None:
    """Run until Ctrl-C."""
    from yolo_msgs.msg import DetectionArray  # of yolo_ros

    rclpy.init()
    node = Node("boxes_from_yolo")
    rois = node.create_publisher(RoiArray, "rois", 10)
    node.create_subscription(DetectionArray, "detections", lambda m: rois.publish(roi_array(m)), 10)
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
