"""Answers in another frame than the image's, by the transform at the image's stamp; frames of joints on request."""

import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile

from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from hmr_ros.ros.convert import humans_from_msg

TFMessage = pytest.importorskip("tf2_msgs.msg").TFMessage

# optical (x right, y down, z forward) on a mast that looks along the map's x axis
LOOKING = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
MOUNT = Rigid(LOOKING @ matrix_from_axis_angle(np.array([0.1, 0.2, 0.0])), np.array([5.0, -2.0, 1.1]))


def transform(parent, child, pose, stamp=None):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    if stamp is not None:
        message.header.stamp = stamp
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = pose.translation.tolist()
    q.w, q.x, q.y, q.z = quaternion_from_matrix(pose.rotation).tolist()
    return message


def test_everything_is_in_the_target_frame(robot, rendered):
    r = robot("-p", "output.target_frame:=map")
    r.node.autostart()
    r.show(rendered[0][0], r.said(DiagnosticStatus.ERROR, "no transform from 'optical' to 'map' at the image's stamp"))
    assert not r.answers
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    r.client.create_publisher(TFMessage, "/tf_static", latched).publish(
        TFMessage(transforms=[transform("map", "optical", MOUNT)])
    )
    frames = []
    r.client.create_subscription(TFMessage, "/tf", lambda m: frames.extend(m.transforms), 100)
    r.show(rendered[0][0], lambda: frames and any(a.humans for a in r.answers))
    answer = next(a for a in r.answers if a.humans)
    assert answer.header.frame_id == "map" == frames[0].header.frame_id
    (human,) = humans_from_msg(answer)
    np.testing.assert_allclose(project(MOUNT.inverse(human.joints), human.K), human.joints_2d, atol=0.1)
    up = human.pelvis.rotation[:, 2]
    assert up[2] > 0.8 and human.joints[0, 0] > 6  # upright, before the mast


def test_a_node_that_waits_for_a_transform_is_deactivated_at_once(robot, rendered):
    r = robot("-p", "output.target_frame:=map", "-p", "output.target_timeout_s:=5.0")
    r.node.autostart()
    began = time.monotonic()
    r.show(rendered[0][0], lambda: time.monotonic() > began + 2)
    stopping = time.monotonic()
    r.enable(False)
    assert time.monotonic() - stopping < 4.0  # and not the ten seconds of its waits
    assert not any(t.name == "hmr_worker" for t in threading.enumerate())


def test_a_moving_camera_is_looked_up_by_stamp(robot, rendered):
    """The transform comes 50 ms after the image, and each image has its own."""
    r = robot("-p", "output.target_frame:=odom", "-p", "output.target_timeout_s:=5.0")
    r.node.autostart()
    tf = r.client.create_publisher(TFMessage, "/tf", 100)

    def drive():
        now = r.client.get_clock().now()
        place = Rigid(LOOKING, np.array([now.nanoseconds * 1e-9 % 1000, 0.0, 1.0]))  # one metre a second
        tf.publish(TFMessage(transforms=[transform("odom", "optical", place, now.to_msg())]))
        return sum(bool(a.humans) for a in r.answers) > 5

    r.show(rendered[0][0], drive)
    for answer in (a for a in r.answers if a.humans):
        (human,) = [h for h in humans_from_msg(answer) if h.state != 3]
        stamp_s = human.stamp_ns * 1e-9 % 1000
        camera = Rigid(LOOKING, np.array([stamp_s, 0.0, 1.0]))
        np.testing.assert_allclose(project(camera.inverse(human.joints), human.K), human.joints_2d, atol=1.0)


def test_joints_on_request(robot, rendered):
    r = robot()
    r.node.autostart()
    frames = []
    r.client.create_subscription(TFMessage, "/tf", lambda m: frames.extend(m.transforms), 100)
    r.show(rendered[0][0], lambda: bool(frames))
    assert {f.child_frame_id for f in frames} == {"body_p0"}
    assert r.set("output.tf_joints", bool_value=True).successful
    r.show(rendered[0][0], lambda: {f"body_p0_{n}" for n in SMPL_JOINTS} <= {f.child_frame_id for f in frames})
    assert r.set("output.tf", bool_value=False).successful
    for said in (10, 3):  # what was on its way has come after ten
        frames.clear()
        r.answers.clear()
        r.show(rendered[0][0], lambda least=said: len(r.answers) > least)
    assert not frames


def test_an_empty_frame_id_has_no_frames(robot, rendered):
    r = robot()
    r.node.autostart()
    frames = []
    r.client.create_subscription(TFMessage, "/tf", lambda m: frames.extend(m.transforms), 100)
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers), frame_id="")
    r.show(rendered[0][0], lambda: len(r.answers) > 5, frame_id="")
    assert not frames
