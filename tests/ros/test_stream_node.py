"""The live node with `stream.sonic`: images go in, a subscriber reads poses."""

import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image

pytest.importorskip("zmq")
sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))
from sonic_reader import joined
from sonic_subscriber import Subscriber

from hmr_ros.io.encodings import image_bytes


@pytest.fixture
def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def show(robot, images, seconds, fps=15):
    """Images as a camera publishes them, answered while they come."""
    for k in range(round(seconds * fps)):
        image, due = images[k % len(images)], time.monotonic() + 1 / fps
        message = Image(height=image.shape[0], width=image.shape[1], encoding="bgr8", step=3 * image.shape[1])
        message.header.frame_id, message.data = "optical", image_bytes(image)
        message.header.stamp = robot.client.get_clock().now().to_msg()
        robot.images.publish(message)
        while time.monotonic() < due:
            robot.spin_once()


def test_a_camera_becomes_poses_and_they_end_with_the_person(robot, rendered, port):
    images, truths, _ = rendered
    node = robot("-p", f"stream.sonic:=tcp://127.0.0.1:{port}", "-p", "stream.hold_s:=0.3")
    assert node.node.autostart()
    subscriber = Subscriber(f"tcp://127.0.0.1:{port}")
    try:
        show(node, images, 3.0)
        node.spin_until(lambda: any(m.humans for m in node.answers))
        show(node, images, 2.0)
        fields = joined(subscriber.messages)
        assert set(np.diff(fields["frame_index"])) == {1}
        spans = [np.linalg.norm(t.joints[15] - t.joints[7]) for t in truths]  # head to foot
        assert np.linalg.norm(fields["smpl_joints"][-1, 15] - fields["smpl_joints"][-1, 7]) == pytest.approx(
            np.median(spans), rel=0.15
        )
        show(node, [np.zeros_like(images[0])], 2.0)  # the person is gone
        count = len(subscriber.messages)
        show(node, [np.zeros_like(images[0])], 0.5)
        assert len(subscriber.messages) == count > 50
        roots = joined(subscriber.messages)["body_quat"][-10:]
        assert np.ptp(roots, axis=0).max() == 0  # held, and nothing made up
        assert node.enable(False).success
        with socket.socket() as again:  # the port is free again
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
        assert node.enable(True).success
    finally:
        subscriber.close()


def test_a_port_in_use_keeps_the_node_inactive_with_the_reason(robot, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        node = robot("-p", f"stream.sonic:=tcp://127.0.0.1:{port}")
        assert not node.node.autostart()
        assert f"port {port} of 127.0.0.1 is in use" in str(node.node.failure)
        assert node.node.state == "inactive"
    assert node.enable(True).success


def test_streams_change_while_the_node_is_inactive(robot, port):
    node = robot("-p", "autostart:=false")
    assert node.set("stream.sonic", string_value=f"tcp://127.0.0.1:{port}").successful
    assert node.enable(True).success
    refused = node.set("stream.sonic", string_value="")
    assert not refused.successful and "deactivate the node first" in refused.reason
