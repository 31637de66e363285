"""The example that turns another package's boxes into ours."""

import runpy
from pathlib import Path
from types import SimpleNamespace as Message

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from hmr_ros.io.detections import boxes_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "boxes_from_yolo.py"


def test_people_of_yolo_arrive_as_boxes():
    def detection(name):
        box = Message(center=Message(position=Message(x=100.0, y=50.0)), size=Message(x=40.0, y=80.0))
        return Message(class_name=name, score=0.75, id="7", bbox=box)

    header = Header(frame_id="optical")
    header.stamp.sec = 12
    array = runpy.run_path(str(EXAMPLE))["roi_array"](
        Message(header=header, detections=[detection("person"), detection("dog")])
    )
    came = deserialize_message(serialize_message(array), type(array))
    assert came.header == header and came.rois[0].id == "7"
    np.testing.assert_allclose(boxes_of(came, [])[0], [[80, 10, 120, 90, 0.75]])
